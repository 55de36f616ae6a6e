"""The completion script of fish."""

from __future__ import annotations

from collections.abc import Iterator

from hoopx_cli.completion_tree import FILES, FOLDERS, HEADER, Spot, alternatives, filled, quoted


def script(places: list[Spot]) -> str:
    rules = "\n".join(rule for spot in places for rule in _rules(spot))
    return filled(_SCRIPT, HEADER=HEADER, PATHS=alternatives(places, " "), RULES=rules)


def _rules(spot: Spot) -> Iterator[str]:
    here = f'complete -c hoopx -n "__hoopx_at {quoted(spot.path)}"'
    if spot.words:
        yield f'{here} -a "{" ".join(spot.words)}"'
    if spot.takes:
        yield f'{here} -a "{_values(spot.takes)}"'
        if FILES in spot.takes.split() or FOLDERS in spot.takes.split():
            yield f"{here} -F"
    for option in spot.options:
        name = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
        yield f"{here} {name}{_value(spot.behind.get(option, ''))}"


def _value(tokens: str) -> str:
    if not tokens:
        return ""
    given = _values(tokens)
    files = " -r -F" if {FILES, FOLDERS} & set(tokens.split()) else " -x"
    return f'{files} -a "{given}"' if given else files


def _values(tokens: str) -> str:
    """Words of a choice as they are, names from their function."""
    known = [token for token in tokens.split() if token not in (FILES, FOLDERS, "-")]
    return " ".join(token[1:] if token.startswith("=") else f"(__hoopx_names {token})" for token in known)


_SCRIPT = r"""# hoopx completion for fish. @HEADER@
set -g __hoopx_paths @PATHS@

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

function __hoopx_is_behind_dashes
    contains -- -- (commandline -opc)
end

# Behind `--` it is another command's turn.
function __hoopx_child
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -l rest
    test $at -lt (count $words); and set rest (string escape -- $words[(math $at + 1)..-1])
    complete -C (string join ' ' -- $rest (commandline -ct))
end

# Names of a kind. What a name may look like is checked here too.
function __hoopx_names
    set -l kind $argv[1]
    set -l home $HOME/.hoopx
    test -n "$HOOPX_HOME"; and set home $HOOPX_HOME
    set -l broker "$HOOPX_BROKER"
    set -l account
    test -n "$HOOPX_TOKEN"; or set account $HOOPX_ACCOUNT
    set -l given
    set -l before ''
    for word in (commandline -opc)[2..-1]
        switch "$before$word"
            case '--broker=*'
                set broker (string replace -r '^[^=]*=' '' -- "$before$word")
                set -a given --broker=$broker
            case '--account=*'
                set account (string replace -r '^[^=]*=' '' -- "$before$word")
                set -a given --account=$account
        end
        set before ''
        contains -- $word --broker --account; and set before "$word="
    end
    if test -z "$broker" -a -f $home/settings.json -a -r $home/settings.json
        set broker (string match -r '"broker":"([^"]*)"' <$home/settings.json)[2]
    end
    test -n "$broker"; or set broker 127.0.0.1:8443
    set broker (string replace -r '^https://' '' -- $broker | string replace -r '/$' '')
    string match -qr ':[0-9]+$' -- $broker; or set broker $broker:443
    if test -z "$account" -a -n "$HOOPX_TOKEN"
        set account _token
    else
        if test -z "$account" -a -f $home/accounts.json -a -r $home/accounts.json
            set -l key (string escape --style=regex -- "\"https://$broker\":{\"current\":\"")
            set account (string match -r "$key"'([^"]*)' <$home/accounts.json)[2]
        end
        if test -n "$account"
            set account by-(string replace -ra '[^A-Za-z0-9.@+_-]' _ -- $account)
        else
            set account _
        end
    end
    set -l folder $home/names/(string replace -ra '[^A-Za-z0-9.-]' _ -- $broker)
    test $kind = accounts; or set folder $folder/$account
    set -l now (date +%s)
    set -l fresh 0
    if test -f $folder/$kind -a -r $folder/$kind
        set -l head
        read head <$folder/$kind
        set -l times (string match -r '^# ([0-9]{1,12}) ([0-9]{1,12})$' -- $head)
        if test (count $times) -eq 3
            set fresh $times[2]
            test $now -lt $times[3]; and string match -r '^[A-Za-z0-9][A-Za-z0-9._@+-]*$' <$folder/$kind
        end
    end
    # Only a broker that a command has talked to before is asked.
    if test $kind != accounts -a $now -ge $fresh -a -d (string replace -r '/[^/]*$' '' -- $folder)
        command hoopx refresh-names $kind $given </dev/null >/dev/null 2>&1 &
        disown 2>/dev/null
    end
    return 0
end

complete -c hoopx -f
complete -c hoopx -n __hoopx_is_behind_dashes -a "(__hoopx_child)"
@RULES@
"""
