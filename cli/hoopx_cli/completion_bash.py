"""The completion script of bash, 3.2 of macOS too."""

from __future__ import annotations

from hoopx_cli.completion_tree import HEADER, Spot, alternatives, cases_behind, filled, quoted


def script(places: list[Spot]) -> str:
    cases = "\n".join(
        f"    {quoted(spot.path)}) words={quoted(' '.join(spot.words))} "
        f"options={quoted(' '.join(spot.options))} takes={quoted(spot.takes)} ;;"
        for spot in places
    )
    paths = alternatives(places, "|")
    return filled(_SCRIPT, HEADER=HEADER, PATHS=paths, CASES=cases, BEHIND=cases_behind(places))


_SCRIPT = r"""# hoopx completion for bash. @HEADER@

# Whose names: sets `folder`, and `given` to what a refresh needs to be told of it.
_hoopx_place() {
  local home="$1" broker="${HOOPX_BROKER:-}" account="" text="" word before=""
  [[ -n ${HOOPX_TOKEN:-} ]] || account="${HOOPX_ACCOUNT:-}"
  for word in ${typed[@]+"${typed[@]}"}; do
    case "$before$word" in
    --broker=*) broker="${word#*=}" given+=("--broker=$broker") ;;
    --account=*) account="${word#*=}" given+=("--account=$account") ;;
    esac
    case "$word" in
    --broker | --account) before="$word=" ;;
    *) before="" ;;
    esac
  done
  if [[ -z $broker && -f $home/settings.json && -r $home/settings.json ]]; then
    IFS= read -r text <"$home/settings.json"
    [[ $text == *'"broker":"'* ]] && text="${text#*\"broker\":\"}" && broker="${text%%\"*}"
  fi
  broker="${broker:-127.0.0.1:8443}" broker="${broker#https://}" broker="${broker%/}"
  [[ $broker =~ :[0-9]+$ ]] || broker="$broker:443"
  if [[ -z $account && -n ${HOOPX_TOKEN:-} ]]; then
    account="_token"
  else
    if [[ -z $account && -f $home/accounts.json && -r $home/accounts.json ]]; then
      IFS= read -r text <"$home/accounts.json"
      word="\"https://$broker\":{\"current\":\""
      [[ $text == *"$word"* ]] && text="${text#*"$word"}" && account="${text%%\"*}"
    fi
    if [[ -n $account ]]; then account="by-${account//[^A-Za-z0-9.@+_-]/_}"; else account="_"; fi
  fi
  folder="$home/names/${broker//[^A-Za-z0-9.-]/_}"
  [[ $kind == accounts ]] || folder="$folder/$account"
}

# Names of a kind that begin with what is typed. What a name may look like is checked here too, and a number
# before it is computed with: a file is no reason to run anything.
_hoopx_names() {
  local kind="$1" home="${HOOPX_HOME:-$HOME/.hoopx}" folder="" name mark="" fresh="" ends="" cut=""
  local now="${EPOCHSECONDS:-}"
  local -a given=()
  [[ $now =~ ^[0-9]+$ ]] || now="$(date +%s)"
  _hoopx_place "$home"
  # Where bash breaks words at `@`, it replaces only what stands from there on.
  [[ $COMP_WORDBREAKS == *@* && $2 == *@* ]] && cut="${2%@*}"
  if [[ -f $folder/$kind && -r $folder/$kind ]]; then
    {
      read -r mark fresh ends
      [[ $mark == "#" && $fresh =~ ^[0-9]{1,12}$ && $ends =~ ^[0-9]{1,12}$ ]] || fresh=0 ends=0
      if ((now < 10#$ends)); then
        while IFS= read -r name; do
          [[ $name == [A-Za-z0-9]* && $name != *[!A-Za-z0-9._@+-]* && $name == "$2"* ]] || continue
          COMPREPLY+=("${name#"$cut"}")
        done
      fi
    } <"$folder/$kind"
  fi
  # Only a broker that a command has talked to before is asked.
  if [[ $kind != accounts && -d ${folder%/*} ]] && ((now >= 10#${fresh:-0})); then
    (command hoopx refresh-names "$kind" ${given[@]+"${given[@]}"} </dev/null >/dev/null 2>&1 &)
  fi
  return 0
}

# Each token of what a place takes.
_hoopx_take() {
  local token
  for token in $1; do
    case "$token" in
    =*) [[ ${token#=} == "$2"* ]] && COMPREPLY+=("${token#=}") ;;
    files) ((${#COMPREPLY[@]})) || compopt -o default 2>/dev/null ;;
    folders) compopt -o dirnames 2>/dev/null ;;
    -) ;;
    *) _hoopx_names "$token" "$2" ;;
    esac
  done
  return 0
}

# Behind `--` it is another command's turn; its first word is number $1.
_hoopx_child() {
  local name
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD == $1)); then
    while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
  else
    compopt -o default 2>/dev/null
  fi
  return 0
}

_hoopx() {
  local IFS=$' \t\n'
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}" start=""
  local path="" next word words="" options="" takes="" behind="" line="${COMP_LINE:0:${COMP_POINT:-0}}" i
  local -a typed=()
  COMPREPLY=()
  # The line itself, since bash breaks words at `@` and `=`, too.
  if [[ $line == *[[:space:]]* ]]; then
    current="${line##*[[:space:]]}"
    line="${line%"$current"}"
    line="${line%"${line##*[![:space:]]}"}"
    before="${line##*[[:space:]]}"
  fi
  read -ra typed <<<"$line"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ $word == -- ]]; then
      _hoopx_child $((i + 1))
      return 0
    fi
    next="${path:+$path }$word"
    case "$next" in
    @PATHS@) path="$next" ;;
    esac
  done
  case "$path" in
@CASES@
  esac
  if [[ $current == --*=* ]]; then
    before="${current%%=*}" current="${current#*=}"
    [[ $COMP_WORDBREAKS == *=* ]] || start="$before="
  fi
  case "$path $before" in
@BEHIND@
  esac
  if [[ -n $behind ]]; then
    _hoopx_take "$behind" "$current"
    for i in ${COMPREPLY[@]+"${!COMPREPLY[@]}"}; do COMPREPLY[i]="$start${COMPREPLY[i]}"; done
    return 0
  fi
  [[ $current == -* ]] && words="$options" takes=""
  for word in $words; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  _hoopx_take "$takes" "$current"
}

complete -o bashdefault -F _hoopx hoopx
"""
