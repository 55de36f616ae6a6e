"""Make the completion scripts out of the command tree. Run when a command changes; the result is kept in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import typer
from msgspec import Struct

from hoopx_cli.completion import Shell
from hoopx_cli.menu import COMMANDS

# What the first argument of a command names: a file of names that the shell reads, or fixed words.
_TARGETS, _SESSIONS, _REQUESTS, _ACCOUNTS, _LEASES = "targets", "sessions", "requests", "accounts", "leases"
_KINDS = {
    "show": _TARGETS,
    "connect": _TARGETS,
    "status": _TARGETS,
    "disconnect": _TARGETS,
    "token": _TARGETS,
    "credentials": _TARGETS,
    "exec": _TARGETS,
    "sql": _TARGETS,
    "classify": _TARGETS,
    "request": _TARGETS,
    "approve": _REQUESTS,
    "deny": _REQUESTS,
    "requests show": _REQUESTS,
    "requests wait": _REQUESTS,
    "requests cancel": _REQUESTS,
    "requests review": _REQUESTS,
    "sessions show": _SESSIONS,
    "sessions replay": _SESSIONS,
    "sessions verify": _SESSIONS,
    "sessions export": _SESSIONS,
    "sessions kill": _SESSIONS,
    "leases revoke": _LEASES,
    "accounts use": _ACCOUNTS,
}
# What stands behind an option; one with a path before it, behind that command's alone.
_BEHIND = {
    "--account": _ACCOUNTS,
    "--request": _REQUESTS,
    "--session": _SESSIONS,
    "--target": _TARGETS,
    "request --extend": _SESSIONS,
}
_FIXED = {"completion": tuple(shell.value for shell in Shell)}
_HEADER = "Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit."


class Spot(Struct, frozen=True):
    """A place on the command line: its path (`sessions ls`), what may stand there, and the names it takes."""

    path: str
    words: tuple[str, ...]
    options: tuple[str, ...]
    kind: str = ""


def script(shell: Shell) -> str:
    """The whole script of one shell."""
    writers: dict[Shell, Callable[[list[Spot]], str]] = {
        Shell.BASH: _bash,
        Shell.ZSH: _zsh,
        Shell.FISH: _fish,
        Shell.POWERSHELL: _powershell,
    }
    return writers[shell](list(spots()))


def spots() -> Iterator[Spot]:
    """Every place of the command line, the root first."""
    yield Spot("", tuple(COMMANDS), ("--help", "--version", "--debug"))
    for name, (module, _) in COMMANDS.items():
        commands = typer.main.get_group(import_module(module).app).commands
        yield from _below(name, commands[name])


def _below(path: str, command: Any) -> Iterator[Spot]:
    words = tuple(getattr(command, "commands", ()))
    yield Spot(path, words or _FIXED.get(path, ()), _options(command), _KINDS.get(path, ""))
    for name in words:
        yield from _below(f"{path} {name}", command.commands[name])


def _options(command: Any) -> tuple[str, ...]:
    named = [each for param in command.params for each in param.opts if each.startswith("-")]
    return tuple(sorted({*named, "--help"}, key=lambda option: option.lstrip("-")))


def _bash(places: list[Spot]) -> str:
    cases = "\n".join(
        f"    {_quoted(spot.path)}) words={_quoted(' '.join(spot.words))} "
        f"options={_quoted(' '.join(spot.options))} kind={_quoted(spot.kind)} ;;"
        for spot in places
    )
    return _BASH.format(header=_HEADER, paths=_paths(places, "|"), cases=cases, behind=_behind())


def _zsh(places: list[Spot]) -> str:
    cases = "\n".join(
        f"    {_quoted(spot.path)}) found=({' '.join(spot.words)}) "
        f"options=({' '.join(spot.options)}) kind={spot.kind} ;;"
        for spot in places
    )
    return _ZSH.format(header=_HEADER, paths=_paths(places, "|"), cases=cases, behind=_behind())


def _behind() -> str:
    """Cases of bash and zsh for the command's path and the word before."""
    patterns = {spot if " " in spot else f"* {spot}": kind for spot, kind in _BEHIND.items()}
    return "\n".join(f"  {spot.replace(' ', chr(92) + ' ')}) behind={kind} ;;" for spot, kind in patterns.items())


def _fish(places: list[Spot]) -> str:
    lines = []
    for spot in places:
        here = f"__hoopx_at {_quoted(spot.path)}"
        words = " ".join(spot.words)
        if words:
            lines.append(f'complete -c hoopx -f -n "{here}" -a "{words}"')
        if spot.kind:
            lines.append(f'complete -c hoopx -f -n "{here}" -a "(__hoopx_names {spot.kind})"')
        lines += [f'complete -c hoopx -n "{here}" {_fish_option(spot.path, option)}' for option in spot.options]
    return _FISH.format(header=_HEADER, paths=_paths(places, " "), rules="\n".join(lines))


def _powershell(places: list[Spot]) -> str:
    rows = "\n".join(
        f"    {_quoted(spot.path)} = @({', '.join(map(_quoted, (*spot.words, *spot.options)))})" for spot in places
    )
    kinds = "\n".join(f"    {_quoted(spot.path)} = {_quoted(spot.kind)}" for spot in places if spot.kind)
    behind = "\n".join(f"    {_quoted(spot)} = {_quoted(kind)}" for spot, kind in _BEHIND.items())
    return _POWERSHELL.format(header=_HEADER, rows=rows, kinds=kinds, behind=behind)


def _fish_option(path: str, option: str) -> str:
    if kind := _BEHIND.get(f"{path} {option}", _BEHIND.get(option)):
        return f'-l {option[2:]} -x -a "(__hoopx_names {kind})"'
    return f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"


def _paths(places: list[Spot], separator: str) -> str:
    return separator.join(_quoted(spot.path) for spot in places if spot.path)


def _quoted(text: str) -> str:
    return f"'{text}'"


_BASH = """\
# hoopx completion for bash. {header}
_hoopx_names() {{
  local file="${{HOOPX_HOME:-$HOME/.hoopx}}/names/$1" name typed=""
  [[ -r $file ]] || return 0
  # Where bash breaks words at `@`, it replaces only what stands from there on.
  [[ $COMP_WORDBREAKS == *@* && $2 == *@* ]] && typed="${{2%@*}}"
  while IFS= read -r name; do
    [[ $name == "$2"* ]] && COMPREPLY+=("${{name#"$typed"}}")
  done <"$file"
  return 0
}}

_hoopx() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD - 1]}}"
  local path="" next word words="" options="" kind="" behind="" line="${{COMP_LINE:0:${{COMP_POINT:-0}}}}" i
  COMPREPLY=()
  # The line itself, since bash breaks words at `@` and `=`, too.
  if [[ $line == *[[:space:]]* ]]; then
    current="${{line##*[[:space:]]}}"
    line="${{line%"$current"}}"
    line="${{line%"${{line##*[![:space:]]}}"}}"
    before="${{line##*[[:space:]]}}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    if [[ $word == -- ]]; then
      compopt -o default 2>/dev/null
      return 0
    fi
    next="${{path:+$path }}$word"
    case "$next" in
    {paths}) path="$next" ;;
    esac
  done
  case "$path" in
{cases}
  esac
  case "$path $before" in
{behind}
  esac
  if [[ -n $behind ]]; then
    _hoopx_names "$behind" "$current"
    return 0
  fi
  [[ $current == -* ]] && words="$options"
  for word in $words; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  [[ -n $kind && $current != -* ]] && _hoopx_names "$kind" "$current"
  return 0
}}

complete -o bashdefault -F _hoopx hoopx
"""

_ZSH = """\
#compdef hoopx
# hoopx completion for zsh. {header}
_hoopx() {{
  local path_ next kind behind word file
  local -a found options names
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    if [[ $word == -- ]]; then
      _default
      return
    fi
    next="${{path_:+$path_ }}$word"
    case "$next" in
    {paths}) path_="$next" ;;
    esac
  done
  case "$path_" in
{cases}
  esac
  case "$path_ $words[CURRENT-1]" in
{behind}
  esac
  if [[ -n $behind ]]; then
    found=() kind=$behind
  elif [[ $PREFIX == -* ]]; then
    compadd -- $options
    return
  fi
  compadd -- $found
  file="${{HOOPX_HOME:-$HOME/.hoopx}}/names/$kind"
  if [[ -n $kind && -r $file ]]; then
    names=("${{(@f)$(<$file)}}")
    compadd -- $names
  fi
  [[ $kind == sessions ]] && _files
}}

if [[ $funcstack[1] == _hoopx ]]; then
  _hoopx "$@"
else
  compdef _hoopx hoopx
fi
"""

_FISH = """\
# hoopx completion for fish. {header}
set -g __hoopx_paths {paths}

function __hoopx_path
    set -l path ''
    for word in (commandline -opc)[2..-1]
        test "$word" = --; and return 1
        set -l next (string trim -- "$path $word")
        contains -- "$next" $__hoopx_paths; and set path $next
    end
    echo $path
end

function __hoopx_at
    set -l path (__hoopx_path); or return 1
    test "$path" = "$argv[1]"
end

function __hoopx_names
    set -l home $HOME/.hoopx
    set -q HOOPX_HOME; and set home $HOOPX_HOME
    test -r $home/names/$argv[1]; and cat $home/names/$argv[1]
end

{rules}
"""

_POWERSHELL = """\
# hoopx completion for PowerShell. {header}
$script:HoopxWords = @{{
{rows}
}}
$script:HoopxKinds = @{{
{kinds}
}}
$script:HoopxBehind = @{{
{behind}
}}

Register-ArgumentCompleter -Native -CommandName hoopx -ScriptBlock {{
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    $before = ''
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {{
        if ($element.Extent.EndOffset -ge $cursorPosition) {{ break }}
        $word = $element.Extent.Text
        if ($word -eq '--') {{ return }}
        $before = $word
        $next = "$path $word".Trim()
        if ($script:HoopxWords.ContainsKey($next)) {{ $path = $next }}
    }}
    $found = @($script:HoopxWords[$path])
    $kind = $script:HoopxKinds[$path]
    $behind = $script:HoopxBehind["$path $before"]
    if (-not $behind) {{ $behind = $script:HoopxBehind[$before] }}
    if ($behind) {{
        $found = @()
        $kind = $behind
    }}
    if ($kind) {{
        $place = if ($env:HOOPX_HOME) {{ $env:HOOPX_HOME }} else {{ Join-Path $HOME '.hoopx' }}
        $file = Join-Path (Join-Path $place 'names') $kind
        if (Test-Path $file) {{ $found += Get-Content $file }}
    }}
    $found | Where-Object {{ $_.StartsWith($wordToComplete) }} | ForEach-Object {{
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }}
}}
"""
