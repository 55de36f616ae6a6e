# hoopx completion for bash. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.
_hoopx_names() {
  local file="${HOOPX_HOME:-$HOME/.hoopx}/names/$1" name typed=""
  [[ -r $file ]] || return 0
  # Where bash breaks words at `@`, it replaces only what stands from there on.
  [[ $COMP_WORDBREAKS == *@* && $2 == *@* ]] && typed="${2%@*}"
  while IFS= read -r name; do
    [[ $name == "$2"* ]] && COMPREPLY+=("${name#"$typed"}")
  done <"$file"
  return 0
}

_hoopx() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}"
  local path="" next word words="" options="" kind="" behind="" line="${COMP_LINE:0:${COMP_POINT:-0}}" i
  COMPREPLY=()
  # The line itself, since bash breaks words at `@` and `=`, too.
  if [[ $line == *[[:space:]]* ]]; then
    current="${line##*[[:space:]]}"
    line="${line%"$current"}"
    line="${line%"${line##*[![:space:]]}"}"
    before="${line##*[[:space:]]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ $word == -- ]]; then
      compopt -o default 2>/dev/null
      return 0
    fi
    next="${path:+$path }$word"
    case "$next" in
    'demo'|'login'|'logout'|'whoami'|'accounts'|'accounts ls'|'accounts use'|'token'|'ls'|'show'|'connect'|'status'|'disconnect'|'config'|'config psql'|'config ssh'|'config kube'|'exec'|'credentials'|'sql'|'agent'|'classify'|'request'|'requests'|'requests ls'|'requests show'|'requests wait'|'requests cancel'|'requests review'|'approve'|'deny'|'sessions'|'sessions ls'|'sessions show'|'sessions replay'|'sessions tail'|'sessions verify'|'sessions export'|'sessions kill'|'leases'|'leases ls'|'leases revoke'|'audit'|'audit events'|'audit hold'|'audit release'|'audit holds'|'audit gc'|'audit verify'|'audit checkpoint'|'policy'|'policy check'|'policy test'|'policy explain'|'policy replay'|'admin'|'admin revoke'|'admin restore'|'admin revoked'|'broker'|'broker run'|'broker check'|'broker migrate'|'broker keys'|'broker keys rotate'|'completion') path="$next" ;;
    esac
  done
  case "$path" in
    '') words='demo login logout whoami accounts token ls show connect status disconnect config exec credentials sql agent classify request requests approve deny sessions leases audit policy admin broker completion' options='--help --version --debug' kind='' ;;
    'demo') words='' options='--debug --help --keep -o --output -q --quiet -v --verbose' kind='' ;;
    'login') words='' options='--broker --browser --ca --debug --help --issuer --no-browser -o --output -q --quiet -v --verbose' kind='' ;;
    'logout') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'whoami') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'accounts') words='ls use' options='--help' kind='' ;;
    'accounts ls') words='' options='--debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'accounts use') words='' options='--broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='accounts' ;;
    'token') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='targets' ;;
    'ls') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'show') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='targets' ;;
    'connect') words='' options='--account --background --break-glass --broker --ca --debug --for --help --key -o --output --port --print -q --quiet --reason --request --socket --ticket -v --verbose --wait' kind='targets' ;;
    'status') words='' options='--account --broker --ca --debug --help -o --output --print -q --quiet -v --verbose' kind='targets' ;;
    'disconnect') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='targets' ;;
    'config') words='psql ssh kube' options='--help' kind='' ;;
    'config psql') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose --yes' kind='' ;;
    'config ssh') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose' kind='' ;;
    'config kube') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose' kind='' ;;
    'exec') words='' options='--account --break-glass --broker --ca --debug --events --for --help --key -o --output -q --quiet --reason --request --ticket --timeout -v --verbose --wait' kind='targets' ;;
    'credentials') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='targets' ;;
    'sql') words='' options='-1 --account --break-glass --broker --ca --debug --for --help --keep-going --key -o --output --param --params -q --quiet --reason --request --single-transaction --ticket -v --verbose --wait' kind='targets' ;;
    'agent') words='' options='--account --as --broker --ca --debug --for --help --idle --instructions -o --output -q --quiet --reason --target --ticket -v --verbose --wait' kind='' ;;
    'classify') words='' options='--account --broker --ca --debug --for --help -o --output -q --quiet --reason --request --sample --schema --ticket -v --verbose --wait' kind='targets' ;;
    'request') words='' options='--account --break-glass --broker --ca --debug --extend --for --help --key -o --output -q --quiet --reason --ticket --unmask -v --verbose --wait' kind='targets' ;;
    'requests') words='ls show wait cancel review' options='--help' kind='' ;;
    'requests ls') words='' options='--account --broker --ca --debug --help --limit --mine -o --output -q --quiet --requester --review --state --target --to-decide -v --verbose' kind='' ;;
    'requests show') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='requests' ;;
    'requests wait') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose --wait' kind='requests' ;;
    'requests cancel') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='requests' ;;
    'requests review') words='' options='--accept --account --broker --ca --comment --debug --help -o --object --output -q --quiet -v --verbose' kind='requests' ;;
    'approve') words='' options='--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose --watch -y --yes' kind='requests' ;;
    'deny') words='' options='--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose -y --yes' kind='requests' ;;
    'sessions') words='ls show replay tail verify export kill' options='--help' kind='' ;;
    'sessions ls') words='' options='--account --approved-by --broker --ca --debug --denied --effect --help --limit -o --output -q --quiet --reason --request --rule --since --state --table --target --text --ticket --until --user -v --verbose' kind='' ;;
    'sessions show') words='' options='--account --broker --ca --debug --help --identity -o --output -q --quiet --statements -v --verbose' kind='sessions' ;;
    'sessions replay') words='' options='--account --at --broker --ca --debug --help --identity --idle -o --output -q --quiet --speed --statement -v --verbose' kind='sessions' ;;
    'sessions tail') words='' options='--account --broker --ca --debug -f --follow --help --identity --last -n -o --output -q --quiet -v --verbose' kind='' ;;
    'sessions verify') words='' options='--account --broker --ca --debug --help --identity --key -o --output -q --quiet -v --verbose --witness' kind='sessions' ;;
    'sessions export') words='' options='--account --broker --ca --debug --format --help --identity -o --output -q --quiet --to -v --verbose' kind='sessions' ;;
    'sessions kill') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='sessions' ;;
    'leases') words='ls revoke' options='--help' kind='' ;;
    'leases ls') words='' options='--account --all --broker --ca --debug --help --limit -o --output -q --quiet --session --state --target --user -v --verbose' kind='' ;;
    'leases revoke') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet --reason --target --user -v --verbose --yes' kind='leases' ;;
    'audit') words='events hold release holds gc verify checkpoint' options='--help' kind='' ;;
    'audit events') words='' options='--account --broker --ca --debug -f --follow --help --limit -o --output -q --quiet --session --since --target --type --until --user -v --verbose' kind='' ;;
    'audit hold') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' kind='' ;;
    'audit release') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' kind='' ;;
    'audit holds') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet --session -v --verbose' kind='' ;;
    'audit gc') words='' options='--account --broker --ca --debug --dry-run --help -o --output -q --quiet -v --verbose' kind='' ;;
    'audit verify') words='' options='-c --config --debug --help --key -o --output -q --quick --quiet --since -v --verbose --witness' kind='' ;;
    'audit checkpoint') words='' options='-c --config --cosigned --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'policy') words='check test explain replay' options='--help' kind='' ;;
    'policy check') words='' options='--debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'policy test') words='' options='--debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'policy explain') words='' options='--approvals --as --at --classify --connect --debug --extend --for --groups --help --identity --kind --label -o --on --on-behalf-of --output --policies -q --quiet --reason --recording --statement --their-groups --ticket -v --verbose' kind='' ;;
    'policy replay') words='' options='--account --against --broker -c --ca --classify --config --debug --exit-code --help --identity --label --limit -o --output --policies -q --quiet --since --target --user -v --verbose' kind='' ;;
    'admin') words='revoke restore revoked' options='--help' kind='' ;;
    'admin revoke') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' kind='' ;;
    'admin restore') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'admin revoked') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker') words='run check migrate keys' options='--help' kind='' ;;
    'broker run') words='' options='-c --config --debug --help -o --output -q --quiet --standby -v --verbose' kind='' ;;
    'broker check') words='' options='-c --config --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker migrate') words='' options='-c --config --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker keys') words='rotate' options='-c --config --debug --help -o --output -q --quiet -v --verbose' kind='' ;;
    'broker keys rotate') words='' options='-c --config --debug --help -o --output -q --quiet --to -v --verbose' kind='' ;;
    'completion') words='bash zsh fish powershell' options='--debug --help -o --output -q --quiet -v --verbose' kind='' ;;
  esac
  case "$path $before" in
  *\ --account) behind=accounts ;;
  *\ --request) behind=requests ;;
  *\ --session) behind=sessions ;;
  *\ --target) behind=targets ;;
  request\ --extend) behind=sessions ;;
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
}

complete -o bashdefault -F _hoopx hoopx
