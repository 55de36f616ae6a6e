"""The completion script of zsh."""

from __future__ import annotations

from hoopx_cli.completion_tree import HEADER, Spot, alternatives, cases_behind, filled, quoted


def script(places: list[Spot]) -> str:
    cases = "\n".join(
        f"    {quoted(spot.path)}) found=({' '.join(spot.words)}) "
        f"options=({' '.join(spot.options)}) takes={quoted(spot.takes)} ;;"
        for spot in places
    )
    paths = alternatives(places, "|")
    return filled(_SCRIPT, HEADER=HEADER, PATHS=paths, CASES=cases, BEHIND=cases_behind(places))


_SCRIPT = r"""#compdef hoopx
# hoopx completion for zsh. @HEADER@

# Names of a kind, into `names`. What a name may look like is checked here too, and a number before it is computed with:
# a file is no reason to run anything.
_hoopx_read() {
  emulate -L zsh
  setopt extendedglob
  zmodload zsh/datetime
  local kind=$1 home=${HOOPX_HOME:-$HOME/.hoopx} broker=${HOOPX_BROKER:-} account= folder fresh=0 ends=0
  local text= word before=
  local -a given lines head
  [[ -n ${HOOPX_TOKEN:-} ]] || account=${HOOPX_ACCOUNT:-}
  for word in "${(@)words[2,CURRENT-1]}"; do
    case $before$word in
    --broker=*) broker=${word#*=} given+=(--broker=$broker) ;;
    --account=*) account=${word#*=} given+=(--account=$account) ;;
    esac
    case $word in
    --broker | --account) before=$word= ;;
    *) before= ;;
    esac
  done
  if [[ -z $broker && -f $home/settings.json && -r $home/settings.json ]]; then
    IFS= read -r text <$home/settings.json
    [[ $text == *'"broker":"'* ]] && text=${text#*\"broker\":\"} && broker=${text%%\"*}
  fi
  broker=${broker:-127.0.0.1:8443}
  broker=${broker#https://}
  broker=${broker%/}
  [[ $broker == *:[0-9]## ]] || broker=$broker:443
  if [[ -z $account && -n ${HOOPX_TOKEN:-} ]]; then
    account=_token
  else
    if [[ -z $account && -f $home/accounts.json && -r $home/accounts.json ]]; then
      IFS= read -r text <$home/accounts.json
      word="\"https://$broker\":{\"current\":\""
      [[ $text == *"$word"* ]] && text=${text#*"$word"} && account=${text%%\"*}
    fi
    if [[ -n $account ]]; then account=by-${account//[^A-Za-z0-9.@+_-]/_}; else account=_; fi
  fi
  folder=$home/names/${broker//[^A-Za-z0-9.-]/_}
  [[ $kind == accounts ]] || folder=$folder/$account
  if [[ -f $folder/$kind && -r $folder/$kind ]]; then
    lines=("${(@f)$(<$folder/$kind)}")
    head=(${(s: :)lines[1]})
    if [[ $head[1] == '#' && $head[2] == [0-9]## && $head[3] == [0-9]## && $#lines[1] -lt 40 ]]; then
      fresh=$head[2] ends=$head[3]
      (( EPOCHSECONDS < ends )) && names=(${(M)${(@)lines[2,-1]}:#[A-Za-z0-9][A-Za-z0-9._@+-]#})
    fi
  fi
  # Only a broker that a command has talked to before is asked.
  if [[ $kind != accounts && -d ${folder:h} ]] && (( EPOCHSECONDS >= fresh )); then
    (command hoopx refresh-names $kind $given </dev/null >/dev/null 2>&1 &)
  fi
  return 0
}

# Each token of what a place takes.
_hoopx_take() {
  local token
  local -a names
  for token in ${=1}; do
    case $token in
    '='*) compadd -- ${token#?} ;;
    files) _files ;;
    folders) _files -/ ;;
    -) ;;
    *)
      names=()
      _hoopx_read $token
      compadd -- $names
      ;;
    esac
  done
}

_hoopx() {
  local path_ next takes behind before word
  local -a found options
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    if [[ $word == -- ]]; then
      # It is another command's turn.
      shift i words
      ((CURRENT -= i))
      _normal
      return
    fi
    next="${path_:+$path_ }$word"
    case "$next" in
    @PATHS@) path_="$next" ;;
    esac
  done
  case "$path_" in
@CASES@
  esac
  before=$words[CURRENT-1]
  if [[ $PREFIX == --*=* ]]; then
    before=${PREFIX%%=*}
    compset -P '*='
  fi
  case "$path_ $before" in
@BEHIND@
  esac
  if [[ -n $behind ]]; then
    _hoopx_take $behind
    return
  fi
  if [[ $PREFIX == -* ]]; then
    compadd -- $options
    return
  fi
  (( $#found )) && compadd -- $found
  _hoopx_take "$takes"
}

if [[ $funcstack[1] == _hoopx ]]; then
  _hoopx "$@"
else
  compdef _hoopx hoopx
fi
"""
