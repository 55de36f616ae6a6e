# hoopx completion for bash. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.
_hoopx_names() {
  local file="${HOOPX_HOME:-$HOME/.hoopx}/names/$1" name
  [[ -r $file ]] || return 0
  while IFS= read -r name; do
    [[ $name == "$2"* ]] && COMPREPLY+=("$name")
  done <"$file"
  return 0
}

_hoopx() {
  local current="${COMP_WORDS[COMP_CWORD]}" path="" next word words="" options="" kind="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ $word == -- ]]; then
      compopt -o default 2>/dev/null
      return 0
    fi
    next="${path:+$path }$word"
    case "$next" in
    'demo'|'login'|'logout'|'whoami'|'token'|'ls'|'show'|'connect'|'exec'|'classify'|'request'|'requests'|'requests ls'|'requests show'|'requests wait'|'requests cancel'|'approve'|'deny'|'sessions'|'sessions ls'|'sessions show'|'sessions replay'|'sessions verify'|'sessions export'|'sessions kill'|'policy'|'policy check'|'policy test'|'policy explain'|'admin'|'admin revoke'|'admin restore'|'admin revoked'|'broker'|'broker run'|'broker check'|'broker migrate'|'broker keys'|'completion') path="$next" ;;
    esac
  done
  case "$path" in
    '') words='demo login logout whoami token ls show connect exec classify request requests approve deny sessions policy admin broker completion' options='--help --version' kind='' ;;
    'demo') words='' options='--help --keep -o --output -q --quiet -v --verbose' kind='' ;;
    'login') words='' options='--broker --ca --help --issuer -o --output -q --quiet -v --verbose' kind='' ;;
    'logout') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'whoami') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'token') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'ls') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'show') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='targets' ;;
    'connect') words='' options='--broker --ca --for --help -o --output --port -q --quiet --reason --request --socket --ticket -v --verbose --wait' kind='targets' ;;
    'exec') words='' options='--broker --ca --for --help -o --output -q --quiet --reason --request --ticket -v --verbose --wait' kind='targets' ;;
    'classify') words='' options='--broker --ca --for --help -o --output -q --quiet --reason --request --sample --schema --ticket -v --verbose --wait' kind='targets' ;;
    'request') words='' options='--broker --ca --for --help -o --output -q --quiet --reason --ticket --unmask -v --verbose --wait' kind='targets' ;;
    'requests') words='ls show wait cancel' options='--help' kind='' ;;
    'requests ls') words='' options='--broker --ca --help -o --output -q --quiet --state -v --verbose' kind='' ;;
    'requests show') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='requests' ;;
    'requests wait') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose --wait' kind='requests' ;;
    'requests cancel') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='requests' ;;
    'approve') words='' options='--broker --ca --comment --help -o --output -q --quiet -v --verbose -y --yes' kind='requests' ;;
    'deny') words='' options='--broker --ca --comment --help -o --output -q --quiet -v --verbose -y --yes' kind='requests' ;;
    'sessions') words='ls show replay verify export kill' options='--help' kind='' ;;
    'sessions ls') words='' options='--broker --ca --help --limit -o --output -q --quiet --state --target --user -v --verbose' kind='' ;;
    'sessions show') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='sessions' ;;
    'sessions replay') words='' options='--broker --ca --help --idle -o --output -q --quiet --speed -v --verbose' kind='sessions' ;;
    'sessions verify') words='' options='--broker --ca --help --key -o --output -q --quiet -v --verbose' kind='sessions' ;;
    'sessions export') words='' options='--broker --ca --format --help -o --output -q --quiet --to -v --verbose' kind='sessions' ;;
    'sessions kill') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='sessions' ;;
    'policy') words='check test explain' options='--help' kind='' ;;
    'policy check') words='' options='--help -o --output -q --quiet -v --verbose' kind='' ;;
    'policy test') words='' options='--help -o --output -q --quiet -v --verbose' kind='' ;;
    'policy explain') words='' options='--approvals --as --at --classify --connect --groups --help --kind --label -o --on --output --policies -q --quiet --reason --recording --statement --ticket -v --verbose' kind='' ;;
    'admin') words='revoke restore revoked' options='--help' kind='' ;;
    'admin revoke') words='' options='--broker --ca --help -o --output -q --quiet --reason -v --verbose' kind='' ;;
    'admin restore') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'admin revoked') words='' options='--broker --ca --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker') words='run check migrate keys' options='--help' kind='' ;;
    'broker run') words='' options='-c --config --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker check') words='' options='-c --config --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker migrate') words='' options='-c --config --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker keys') words='' options='-c --config --help -o --output -q --quiet -v --verbose' kind='' ;;
    'completion') words='bash zsh fish powershell' options='--help -o --output -q --quiet -v --verbose' kind='' ;;
  esac
  [[ $current == -* ]] && words="$options"
  for word in $words; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  [[ -n $kind && $current != -* ]] && _hoopx_names "$kind" "$current"
  return 0
}

complete -o bashdefault -F _hoopx hoopx
