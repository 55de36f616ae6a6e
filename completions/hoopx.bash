# hoopx completion for bash. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.

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
    'demo'|'login'|'logout'|'whoami'|'accounts'|'accounts ls'|'accounts use'|'token'|'ls'|'show'|'connect'|'status'|'disconnect'|'config'|'config psql'|'config ssh'|'config kube'|'exec'|'credentials'|'sql'|'agent'|'classify'|'request'|'requests'|'requests ls'|'requests show'|'requests wait'|'requests cancel'|'requests review'|'approve'|'deny'|'sessions'|'sessions ls'|'sessions show'|'sessions replay'|'sessions tail'|'sessions verify'|'sessions export'|'sessions kill'|'leases'|'leases ls'|'leases revoke'|'audit'|'audit events'|'audit hold'|'audit release'|'audit holds'|'audit gc'|'audit verify'|'audit checkpoint'|'policy'|'policy check'|'policy test'|'policy explain'|'policy replay'|'admin'|'admin revoke'|'admin restore'|'admin revoked'|'broker'|'broker run'|'broker check'|'broker migrate'|'broker keys'|'broker keys rotate'|'doctor'|'completion') path="$next" ;;
    esac
  done
  case "$path" in
    '') words='demo login logout whoami accounts token ls show connect status disconnect config exec credentials sql agent classify request requests approve deny sessions leases audit policy admin broker doctor completion' options='--debug --help --version' takes='' ;;
    'demo') words='' options='--debug --help --keep -o --output -q --quiet -v --verbose' takes='' ;;
    'login') words='' options='--broker --browser --ca --debug --help --issuer --no-browser -o --output -q --quiet -v --verbose' takes='' ;;
    'logout') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'whoami') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'accounts') words='ls use' options='--debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'accounts ls') words='' options='--debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'accounts use') words='' options='--broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='accounts' ;;
    'token') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='targets' ;;
    'ls') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'show') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='targets' ;;
    'connect') words='' options='--account --background --break-glass --broker --ca --debug --for --help --key -o --output --port --print -q --quiet --reason --request --socket --ticket -v --verbose --wait' takes='targets' ;;
    'status') words='' options='--account --broker --ca --debug --help -o --output --print -q --quiet -v --verbose' takes='targets' ;;
    'disconnect') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='targets' ;;
    'config') words='psql ssh kube' options='--help' takes='' ;;
    'config psql') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose --yes' takes='targets' ;;
    'config ssh') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose' takes='' ;;
    'config kube') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose' takes='' ;;
    'exec') words='' options='--account --break-glass --broker --ca --debug --events --for --help --key -o --output -q --quiet --reason --request --ticket --timeout -v --verbose --wait' takes='targets' ;;
    'credentials') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='targets' ;;
    'sql') words='' options='-1 --account --break-glass --broker --ca --debug --for --help --keep-going --key -o --output --param --params -q --quiet --reason --request --single-transaction --ticket -v --verbose --wait' takes='targets' ;;
    'agent') words='' options='--account --as --broker --ca --debug --for --help --idle --instructions -o --output -q --quiet --reason --target --ticket -v --verbose --wait' takes='' ;;
    'classify') words='' options='--account --broker --ca --debug --for --help -o --output -q --quiet --reason --request --sample --schema --ticket -v --verbose --wait' takes='targets' ;;
    'request') words='' options='--account --break-glass --broker --ca --debug --extend --for --help --key -o --output -q --quiet --reason --ticket --unmask -v --verbose --wait' takes='targets' ;;
    'requests') words='ls show wait cancel review' options='--help' takes='' ;;
    'requests ls') words='' options='--account --broker --ca --debug --help --limit --mine -o --output -q --quiet --requester --review --state --target --to-decide -v --verbose' takes='' ;;
    'requests show') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='requests' ;;
    'requests wait') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose --wait' takes='requests' ;;
    'requests cancel') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='requests' ;;
    'requests review') words='' options='--accept --account --broker --ca --comment --debug --help -o --object --output -q --quiet -v --verbose' takes='requests' ;;
    'approve') words='' options='--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose --watch -y --yes' takes='requests' ;;
    'deny') words='' options='--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose -y --yes' takes='requests' ;;
    'sessions') words='ls show replay tail verify export kill' options='--help' takes='' ;;
    'sessions ls') words='' options='--account --approved-by --broker --ca --debug --denied --effect --help --limit -o --output -q --quiet --reason --request --rule --since --state --table --target --text --ticket --until --user -v --verbose' takes='' ;;
    'sessions show') words='' options='--account --broker --ca --debug --help --identity -o --output -q --quiet --statements -v --verbose' takes='sessions files' ;;
    'sessions replay') words='' options='--account --at --broker --ca --debug --help --identity --idle -o --output -q --quiet --speed --statement -v --verbose' takes='sessions files' ;;
    'sessions tail') words='' options='--account --broker --ca --debug -f --follow --help --identity --last -n -o --output -q --quiet -v --verbose' takes='sessions files' ;;
    'sessions verify') words='' options='--account --broker --ca --debug --help --identity --key -o --output -q --quiet -v --verbose --witness' takes='sessions files' ;;
    'sessions export') words='' options='--account --broker --ca --debug --format --help --identity -o --output -q --quiet --to -v --verbose' takes='sessions files' ;;
    'sessions kill') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='sessions' ;;
    'leases') words='ls revoke' options='--help' takes='' ;;
    'leases ls') words='' options='--account --all --broker --ca --debug --help --limit -o --output -q --quiet --session --state --target --user -v --verbose' takes='' ;;
    'leases revoke') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet --reason --target --user -v --verbose --yes' takes='leases' ;;
    'audit') words='events hold release holds gc verify checkpoint' options='--help' takes='' ;;
    'audit events') words='' options='--account --broker --ca --debug -f --follow --help --limit -o --output -q --quiet --session --since --target --type --until --user -v --verbose' takes='' ;;
    'audit hold') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' takes='sessions' ;;
    'audit release') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' takes='' ;;
    'audit holds') words='' options='--account --all --broker --ca --debug --help -o --output -q --quiet --session -v --verbose' takes='' ;;
    'audit gc') words='' options='--account --broker --ca --debug --dry-run --help -o --output -q --quiet -v --verbose' takes='' ;;
    'audit verify') words='' options='-c --config --debug --help --key -o --output -q --quick --quiet --since -v --verbose --witness' takes='folders' ;;
    'audit checkpoint') words='' options='-c --config --cosigned --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'policy') words='check test explain replay' options='--help' takes='' ;;
    'policy check') words='' options='--debug --help -o --output -q --quiet -v --verbose' takes='folders' ;;
    'policy test') words='' options='--debug --help -o --output -q --quiet -v --verbose' takes='folders' ;;
    'policy explain') words='' options='--approvals --as --at --classify --connect --debug --extend --for --groups --help --identity --kind --label -o --on --on-behalf-of --output --policies -q --quiet --reason --recording --statement --their-groups --ticket -v --verbose' takes='' ;;
    'policy replay') words='' options='--account --against --broker -c --ca --classify --config --debug --exit-code --help --identity --label --limit -o --output --policies -q --quiet --since --target --user -v --verbose' takes='sessions files' ;;
    'admin') words='revoke restore revoked' options='--help' takes='' ;;
    'admin revoke') words='' options='--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose' takes='users' ;;
    'admin restore') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='users' ;;
    'admin revoked') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'broker') words='run check migrate keys' options='--help' takes='' ;;
    'broker run') words='' options='-c --config --debug --help -o --output -q --quiet --standby -v --verbose --workers' takes='' ;;
    'broker check') words='' options='-c --config --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'broker migrate') words='' options='-c --config --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'broker keys') words='rotate' options='-c --config --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'broker keys rotate') words='' options='-c --config --debug --help -o --output -q --quiet --to -v --verbose' takes='' ;;
    'doctor') words='' options='--account --broker --ca --debug --help -o --output -q --quiet -v --verbose' takes='' ;;
    'completion') words='' options='--debug --help -o --output -q --quiet -v --verbose' takes='=bash =zsh =fish =powershell' ;;
  esac
  if [[ $current == --*=* ]]; then
    before="${current%%=*}" current="${current#*=}"
    [[ $COMP_WORDBREAKS == *=* ]] || start="$before="
  fi
  case "$path $before" in
  'sql --output'|'sql -o') behind='=table =json =jsonl =csv' ;;
  'requests ls --state') behind='=waiting =approved =denied =cancelled =expired =used' ;;
  'classify --output'|'classify -o') behind='=yaml =table =json' ;;
  'audit verify --since') behind='files' ;;
  'request --extend') behind='sessions' ;;
  'policy explain --as') behind='users' ;;
  *' --approvals'|*' --as'|*' --at'|*' --broker'|*' --classify'|*' --comment'|*' --effect'|*' --exit-code'|*' --for'|*' --groups'|*' --idle'|*' --issuer'|*' --key'|*' --kind'|*' --label'|*' --last'|*' --limit'|*' --param'|*' --port'|*' --reason'|*' --rule'|*' --sample'|*' --schema'|*' --since'|*' --speed'|*' --state'|*' --statement'|*' --table'|*' --text'|*' --their-groups'|*' --ticket'|*' --timeout'|*' --type'|*' --unmask'|*' --until'|*' --wait'|*' --witness'|*' --workers'|*' -n') behind='-' ;;
  *' --print') behind='=all =url =psql =jdbc =env' ;;
  *' --review') behind='=open =accepted =objected' ;;
  *' --format') behind='=recording =jsonl =csv =asciicast =ocsf' ;;
  *' --output'|*' -o') behind='=table =json' ;;
  *' --account') behind='accounts' ;;
  *' --ca'|*' --config'|*' --events'|*' --identity'|*' --instructions'|*' --params'|*' --recording'|*' --socket'|*' --to'|*' -c') behind='files' ;;
  *' --against'|*' --policies') behind='folders' ;;
  *' --request') behind='requests' ;;
  *' --session') behind='sessions' ;;
  *' --on'|*' --target') behind='targets' ;;
  *' --approved-by'|*' --on-behalf-of'|*' --requester'|*' --user') behind='users' ;;
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
