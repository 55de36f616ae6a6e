# hoopx completion for fish. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.
set -g __hoopx_paths 'demo' 'login' 'logout' 'whoami' 'accounts' 'accounts ls' 'accounts use' 'token' 'ls' 'show' 'connect' 'status' 'disconnect' 'config' 'config psql' 'config ssh' 'config kube' 'exec' 'credentials' 'sql' 'agent' 'classify' 'request' 'requests' 'requests ls' 'requests show' 'requests wait' 'requests cancel' 'requests review' 'approve' 'deny' 'sessions' 'sessions ls' 'sessions show' 'sessions replay' 'sessions tail' 'sessions verify' 'sessions export' 'sessions kill' 'leases' 'leases ls' 'leases revoke' 'audit' 'audit events' 'audit hold' 'audit release' 'audit holds' 'audit gc' 'audit verify' 'audit checkpoint' 'policy' 'policy check' 'policy test' 'policy explain' 'policy replay' 'admin' 'admin revoke' 'admin restore' 'admin revoked' 'broker' 'broker run' 'broker check' 'broker migrate' 'broker keys' 'broker keys rotate' 'doctor' 'completion'

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
complete -c hoopx -n "__hoopx_at ''" -a "demo login logout whoami accounts token ls show connect status disconnect config exec credentials sql agent classify request requests approve deny sessions leases audit policy admin broker doctor completion"
complete -c hoopx -n "__hoopx_at ''" -l debug
complete -c hoopx -n "__hoopx_at ''" -l help
complete -c hoopx -n "__hoopx_at ''" -l version
complete -c hoopx -n "__hoopx_at 'demo'" -l debug
complete -c hoopx -n "__hoopx_at 'demo'" -l help
complete -c hoopx -n "__hoopx_at 'demo'" -l keep
complete -c hoopx -n "__hoopx_at 'demo'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'demo'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'demo'" -s q
complete -c hoopx -n "__hoopx_at 'demo'" -l quiet
complete -c hoopx -n "__hoopx_at 'demo'" -s v
complete -c hoopx -n "__hoopx_at 'demo'" -l verbose
complete -c hoopx -n "__hoopx_at 'login'" -l broker -x
complete -c hoopx -n "__hoopx_at 'login'" -l browser
complete -c hoopx -n "__hoopx_at 'login'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'login'" -l debug
complete -c hoopx -n "__hoopx_at 'login'" -l help
complete -c hoopx -n "__hoopx_at 'login'" -l issuer -x
complete -c hoopx -n "__hoopx_at 'login'" -l no-browser
complete -c hoopx -n "__hoopx_at 'login'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'login'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'login'" -s q
complete -c hoopx -n "__hoopx_at 'login'" -l quiet
complete -c hoopx -n "__hoopx_at 'login'" -s v
complete -c hoopx -n "__hoopx_at 'login'" -l verbose
complete -c hoopx -n "__hoopx_at 'logout'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'logout'" -l all
complete -c hoopx -n "__hoopx_at 'logout'" -l broker -x
complete -c hoopx -n "__hoopx_at 'logout'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'logout'" -l debug
complete -c hoopx -n "__hoopx_at 'logout'" -l help
complete -c hoopx -n "__hoopx_at 'logout'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'logout'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'logout'" -s q
complete -c hoopx -n "__hoopx_at 'logout'" -l quiet
complete -c hoopx -n "__hoopx_at 'logout'" -s v
complete -c hoopx -n "__hoopx_at 'logout'" -l verbose
complete -c hoopx -n "__hoopx_at 'whoami'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'whoami'" -l broker -x
complete -c hoopx -n "__hoopx_at 'whoami'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'whoami'" -l debug
complete -c hoopx -n "__hoopx_at 'whoami'" -l help
complete -c hoopx -n "__hoopx_at 'whoami'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'whoami'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'whoami'" -s q
complete -c hoopx -n "__hoopx_at 'whoami'" -l quiet
complete -c hoopx -n "__hoopx_at 'whoami'" -s v
complete -c hoopx -n "__hoopx_at 'whoami'" -l verbose
complete -c hoopx -n "__hoopx_at 'accounts'" -a "ls use"
complete -c hoopx -n "__hoopx_at 'accounts'" -l debug
complete -c hoopx -n "__hoopx_at 'accounts'" -l help
complete -c hoopx -n "__hoopx_at 'accounts'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts'" -s q
complete -c hoopx -n "__hoopx_at 'accounts'" -l quiet
complete -c hoopx -n "__hoopx_at 'accounts'" -s v
complete -c hoopx -n "__hoopx_at 'accounts'" -l verbose
complete -c hoopx -n "__hoopx_at 'accounts ls'" -l debug
complete -c hoopx -n "__hoopx_at 'accounts ls'" -l help
complete -c hoopx -n "__hoopx_at 'accounts ls'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts ls'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts ls'" -s q
complete -c hoopx -n "__hoopx_at 'accounts ls'" -l quiet
complete -c hoopx -n "__hoopx_at 'accounts ls'" -s v
complete -c hoopx -n "__hoopx_at 'accounts ls'" -l verbose
complete -c hoopx -n "__hoopx_at 'accounts use'" -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'accounts use'" -l broker -x
complete -c hoopx -n "__hoopx_at 'accounts use'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'accounts use'" -l debug
complete -c hoopx -n "__hoopx_at 'accounts use'" -l help
complete -c hoopx -n "__hoopx_at 'accounts use'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts use'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'accounts use'" -s q
complete -c hoopx -n "__hoopx_at 'accounts use'" -l quiet
complete -c hoopx -n "__hoopx_at 'accounts use'" -s v
complete -c hoopx -n "__hoopx_at 'accounts use'" -l verbose
complete -c hoopx -n "__hoopx_at 'token'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'token'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'token'" -l broker -x
complete -c hoopx -n "__hoopx_at 'token'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'token'" -l debug
complete -c hoopx -n "__hoopx_at 'token'" -l help
complete -c hoopx -n "__hoopx_at 'token'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'token'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'token'" -s q
complete -c hoopx -n "__hoopx_at 'token'" -l quiet
complete -c hoopx -n "__hoopx_at 'token'" -s v
complete -c hoopx -n "__hoopx_at 'token'" -l verbose
complete -c hoopx -n "__hoopx_at 'ls'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'ls'" -l broker -x
complete -c hoopx -n "__hoopx_at 'ls'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'ls'" -l debug
complete -c hoopx -n "__hoopx_at 'ls'" -l help
complete -c hoopx -n "__hoopx_at 'ls'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'ls'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'ls'" -s q
complete -c hoopx -n "__hoopx_at 'ls'" -l quiet
complete -c hoopx -n "__hoopx_at 'ls'" -s v
complete -c hoopx -n "__hoopx_at 'ls'" -l verbose
complete -c hoopx -n "__hoopx_at 'show'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'show'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'show'" -l broker -x
complete -c hoopx -n "__hoopx_at 'show'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'show'" -l debug
complete -c hoopx -n "__hoopx_at 'show'" -l help
complete -c hoopx -n "__hoopx_at 'show'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'show'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'show'" -s q
complete -c hoopx -n "__hoopx_at 'show'" -l quiet
complete -c hoopx -n "__hoopx_at 'show'" -s v
complete -c hoopx -n "__hoopx_at 'show'" -l verbose
complete -c hoopx -n "__hoopx_at 'connect'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'connect'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'connect'" -l background
complete -c hoopx -n "__hoopx_at 'connect'" -l break-glass
complete -c hoopx -n "__hoopx_at 'connect'" -l broker -x
complete -c hoopx -n "__hoopx_at 'connect'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'connect'" -l debug
complete -c hoopx -n "__hoopx_at 'connect'" -l for -x
complete -c hoopx -n "__hoopx_at 'connect'" -l help
complete -c hoopx -n "__hoopx_at 'connect'" -l key -x
complete -c hoopx -n "__hoopx_at 'connect'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'connect'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'connect'" -l port -x
complete -c hoopx -n "__hoopx_at 'connect'" -l print -x -a "all url psql jdbc env"
complete -c hoopx -n "__hoopx_at 'connect'" -s q
complete -c hoopx -n "__hoopx_at 'connect'" -l quiet
complete -c hoopx -n "__hoopx_at 'connect'" -l reason -x
complete -c hoopx -n "__hoopx_at 'connect'" -l request -x -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'connect'" -l socket -r -F
complete -c hoopx -n "__hoopx_at 'connect'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'connect'" -s v
complete -c hoopx -n "__hoopx_at 'connect'" -l verbose
complete -c hoopx -n "__hoopx_at 'connect'" -l wait -x
complete -c hoopx -n "__hoopx_at 'status'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'status'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'status'" -l broker -x
complete -c hoopx -n "__hoopx_at 'status'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'status'" -l debug
complete -c hoopx -n "__hoopx_at 'status'" -l help
complete -c hoopx -n "__hoopx_at 'status'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'status'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'status'" -l print -x -a "all url psql jdbc env"
complete -c hoopx -n "__hoopx_at 'status'" -s q
complete -c hoopx -n "__hoopx_at 'status'" -l quiet
complete -c hoopx -n "__hoopx_at 'status'" -s v
complete -c hoopx -n "__hoopx_at 'status'" -l verbose
complete -c hoopx -n "__hoopx_at 'disconnect'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'disconnect'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'disconnect'" -l all
complete -c hoopx -n "__hoopx_at 'disconnect'" -l broker -x
complete -c hoopx -n "__hoopx_at 'disconnect'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'disconnect'" -l debug
complete -c hoopx -n "__hoopx_at 'disconnect'" -l help
complete -c hoopx -n "__hoopx_at 'disconnect'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'disconnect'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'disconnect'" -s q
complete -c hoopx -n "__hoopx_at 'disconnect'" -l quiet
complete -c hoopx -n "__hoopx_at 'disconnect'" -s v
complete -c hoopx -n "__hoopx_at 'disconnect'" -l verbose
complete -c hoopx -n "__hoopx_at 'config'" -a "psql ssh kube"
complete -c hoopx -n "__hoopx_at 'config'" -l help
complete -c hoopx -n "__hoopx_at 'config psql'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'config psql'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'config psql'" -l broker -x
complete -c hoopx -n "__hoopx_at 'config psql'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'config psql'" -l debug
complete -c hoopx -n "__hoopx_at 'config psql'" -l help
complete -c hoopx -n "__hoopx_at 'config psql'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config psql'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config psql'" -s q
complete -c hoopx -n "__hoopx_at 'config psql'" -l quiet
complete -c hoopx -n "__hoopx_at 'config psql'" -l undo
complete -c hoopx -n "__hoopx_at 'config psql'" -s v
complete -c hoopx -n "__hoopx_at 'config psql'" -l verbose
complete -c hoopx -n "__hoopx_at 'config psql'" -l yes
complete -c hoopx -n "__hoopx_at 'config ssh'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'config ssh'" -l broker -x
complete -c hoopx -n "__hoopx_at 'config ssh'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'config ssh'" -l debug
complete -c hoopx -n "__hoopx_at 'config ssh'" -l help
complete -c hoopx -n "__hoopx_at 'config ssh'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config ssh'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config ssh'" -s q
complete -c hoopx -n "__hoopx_at 'config ssh'" -l quiet
complete -c hoopx -n "__hoopx_at 'config ssh'" -l undo
complete -c hoopx -n "__hoopx_at 'config ssh'" -s v
complete -c hoopx -n "__hoopx_at 'config ssh'" -l verbose
complete -c hoopx -n "__hoopx_at 'config kube'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'config kube'" -l broker -x
complete -c hoopx -n "__hoopx_at 'config kube'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'config kube'" -l debug
complete -c hoopx -n "__hoopx_at 'config kube'" -l help
complete -c hoopx -n "__hoopx_at 'config kube'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config kube'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'config kube'" -s q
complete -c hoopx -n "__hoopx_at 'config kube'" -l quiet
complete -c hoopx -n "__hoopx_at 'config kube'" -l undo
complete -c hoopx -n "__hoopx_at 'config kube'" -s v
complete -c hoopx -n "__hoopx_at 'config kube'" -l verbose
complete -c hoopx -n "__hoopx_at 'exec'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'exec'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'exec'" -l break-glass
complete -c hoopx -n "__hoopx_at 'exec'" -l broker -x
complete -c hoopx -n "__hoopx_at 'exec'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'exec'" -l debug
complete -c hoopx -n "__hoopx_at 'exec'" -l events -r -F
complete -c hoopx -n "__hoopx_at 'exec'" -l for -x
complete -c hoopx -n "__hoopx_at 'exec'" -l help
complete -c hoopx -n "__hoopx_at 'exec'" -l key -x
complete -c hoopx -n "__hoopx_at 'exec'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'exec'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'exec'" -s q
complete -c hoopx -n "__hoopx_at 'exec'" -l quiet
complete -c hoopx -n "__hoopx_at 'exec'" -l reason -x
complete -c hoopx -n "__hoopx_at 'exec'" -l request -x -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'exec'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'exec'" -l timeout -x
complete -c hoopx -n "__hoopx_at 'exec'" -s v
complete -c hoopx -n "__hoopx_at 'exec'" -l verbose
complete -c hoopx -n "__hoopx_at 'exec'" -l wait -x
complete -c hoopx -n "__hoopx_at 'credentials'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'credentials'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'credentials'" -l broker -x
complete -c hoopx -n "__hoopx_at 'credentials'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'credentials'" -l debug
complete -c hoopx -n "__hoopx_at 'credentials'" -l help
complete -c hoopx -n "__hoopx_at 'credentials'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'credentials'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'credentials'" -s q
complete -c hoopx -n "__hoopx_at 'credentials'" -l quiet
complete -c hoopx -n "__hoopx_at 'credentials'" -s v
complete -c hoopx -n "__hoopx_at 'credentials'" -l verbose
complete -c hoopx -n "__hoopx_at 'sql'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'sql'" -s 1
complete -c hoopx -n "__hoopx_at 'sql'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sql'" -l break-glass
complete -c hoopx -n "__hoopx_at 'sql'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sql'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sql'" -l debug
complete -c hoopx -n "__hoopx_at 'sql'" -l for -x
complete -c hoopx -n "__hoopx_at 'sql'" -l help
complete -c hoopx -n "__hoopx_at 'sql'" -l keep-going
complete -c hoopx -n "__hoopx_at 'sql'" -l key -x
complete -c hoopx -n "__hoopx_at 'sql'" -s o -x -a "table json jsonl csv"
complete -c hoopx -n "__hoopx_at 'sql'" -l output -x -a "table json jsonl csv"
complete -c hoopx -n "__hoopx_at 'sql'" -l param -x
complete -c hoopx -n "__hoopx_at 'sql'" -l params -r -F
complete -c hoopx -n "__hoopx_at 'sql'" -s q
complete -c hoopx -n "__hoopx_at 'sql'" -l quiet
complete -c hoopx -n "__hoopx_at 'sql'" -l reason -x
complete -c hoopx -n "__hoopx_at 'sql'" -l request -x -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'sql'" -l single-transaction
complete -c hoopx -n "__hoopx_at 'sql'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'sql'" -s v
complete -c hoopx -n "__hoopx_at 'sql'" -l verbose
complete -c hoopx -n "__hoopx_at 'sql'" -l wait -x
complete -c hoopx -n "__hoopx_at 'agent'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'agent'" -l as -x
complete -c hoopx -n "__hoopx_at 'agent'" -l broker -x
complete -c hoopx -n "__hoopx_at 'agent'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'agent'" -l debug
complete -c hoopx -n "__hoopx_at 'agent'" -l for -x
complete -c hoopx -n "__hoopx_at 'agent'" -l help
complete -c hoopx -n "__hoopx_at 'agent'" -l idle -x
complete -c hoopx -n "__hoopx_at 'agent'" -l instructions -r -F
complete -c hoopx -n "__hoopx_at 'agent'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'agent'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'agent'" -s q
complete -c hoopx -n "__hoopx_at 'agent'" -l quiet
complete -c hoopx -n "__hoopx_at 'agent'" -l reason -x
complete -c hoopx -n "__hoopx_at 'agent'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'agent'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'agent'" -s v
complete -c hoopx -n "__hoopx_at 'agent'" -l verbose
complete -c hoopx -n "__hoopx_at 'agent'" -l wait -x
complete -c hoopx -n "__hoopx_at 'classify'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'classify'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'classify'" -l broker -x
complete -c hoopx -n "__hoopx_at 'classify'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'classify'" -l debug
complete -c hoopx -n "__hoopx_at 'classify'" -l for -x
complete -c hoopx -n "__hoopx_at 'classify'" -l help
complete -c hoopx -n "__hoopx_at 'classify'" -s o -x -a "yaml table json"
complete -c hoopx -n "__hoopx_at 'classify'" -l output -x -a "yaml table json"
complete -c hoopx -n "__hoopx_at 'classify'" -s q
complete -c hoopx -n "__hoopx_at 'classify'" -l quiet
complete -c hoopx -n "__hoopx_at 'classify'" -l reason -x
complete -c hoopx -n "__hoopx_at 'classify'" -l request -x -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'classify'" -l sample -x
complete -c hoopx -n "__hoopx_at 'classify'" -l schema -x
complete -c hoopx -n "__hoopx_at 'classify'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'classify'" -s v
complete -c hoopx -n "__hoopx_at 'classify'" -l verbose
complete -c hoopx -n "__hoopx_at 'classify'" -l wait -x
complete -c hoopx -n "__hoopx_at 'request'" -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'request'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'request'" -l break-glass
complete -c hoopx -n "__hoopx_at 'request'" -l broker -x
complete -c hoopx -n "__hoopx_at 'request'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'request'" -l debug
complete -c hoopx -n "__hoopx_at 'request'" -l extend -x -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'request'" -l for -x
complete -c hoopx -n "__hoopx_at 'request'" -l help
complete -c hoopx -n "__hoopx_at 'request'" -l key -x
complete -c hoopx -n "__hoopx_at 'request'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'request'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'request'" -s q
complete -c hoopx -n "__hoopx_at 'request'" -l quiet
complete -c hoopx -n "__hoopx_at 'request'" -l reason -x
complete -c hoopx -n "__hoopx_at 'request'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'request'" -l unmask -x
complete -c hoopx -n "__hoopx_at 'request'" -s v
complete -c hoopx -n "__hoopx_at 'request'" -l verbose
complete -c hoopx -n "__hoopx_at 'request'" -l wait -x
complete -c hoopx -n "__hoopx_at 'requests'" -a "ls show wait cancel review"
complete -c hoopx -n "__hoopx_at 'requests'" -l help
complete -c hoopx -n "__hoopx_at 'requests ls'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l broker -x
complete -c hoopx -n "__hoopx_at 'requests ls'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'requests ls'" -l debug
complete -c hoopx -n "__hoopx_at 'requests ls'" -l help
complete -c hoopx -n "__hoopx_at 'requests ls'" -l limit -x
complete -c hoopx -n "__hoopx_at 'requests ls'" -l mine
complete -c hoopx -n "__hoopx_at 'requests ls'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests ls'" -s q
complete -c hoopx -n "__hoopx_at 'requests ls'" -l quiet
complete -c hoopx -n "__hoopx_at 'requests ls'" -l requester -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l review -x -a "open accepted objected"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l state -x -a "waiting approved denied cancelled expired used"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'requests ls'" -l to-decide
complete -c hoopx -n "__hoopx_at 'requests ls'" -s v
complete -c hoopx -n "__hoopx_at 'requests ls'" -l verbose
complete -c hoopx -n "__hoopx_at 'requests show'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'requests show'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'requests show'" -l broker -x
complete -c hoopx -n "__hoopx_at 'requests show'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'requests show'" -l debug
complete -c hoopx -n "__hoopx_at 'requests show'" -l help
complete -c hoopx -n "__hoopx_at 'requests show'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests show'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests show'" -s q
complete -c hoopx -n "__hoopx_at 'requests show'" -l quiet
complete -c hoopx -n "__hoopx_at 'requests show'" -s v
complete -c hoopx -n "__hoopx_at 'requests show'" -l verbose
complete -c hoopx -n "__hoopx_at 'requests wait'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'requests wait'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'requests wait'" -l broker -x
complete -c hoopx -n "__hoopx_at 'requests wait'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'requests wait'" -l debug
complete -c hoopx -n "__hoopx_at 'requests wait'" -l help
complete -c hoopx -n "__hoopx_at 'requests wait'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests wait'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests wait'" -s q
complete -c hoopx -n "__hoopx_at 'requests wait'" -l quiet
complete -c hoopx -n "__hoopx_at 'requests wait'" -s v
complete -c hoopx -n "__hoopx_at 'requests wait'" -l verbose
complete -c hoopx -n "__hoopx_at 'requests wait'" -l wait -x
complete -c hoopx -n "__hoopx_at 'requests cancel'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l broker -x
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l debug
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l help
complete -c hoopx -n "__hoopx_at 'requests cancel'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests cancel'" -s q
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l quiet
complete -c hoopx -n "__hoopx_at 'requests cancel'" -s v
complete -c hoopx -n "__hoopx_at 'requests cancel'" -l verbose
complete -c hoopx -n "__hoopx_at 'requests review'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'requests review'" -l accept
complete -c hoopx -n "__hoopx_at 'requests review'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'requests review'" -l broker -x
complete -c hoopx -n "__hoopx_at 'requests review'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'requests review'" -l comment -x
complete -c hoopx -n "__hoopx_at 'requests review'" -l debug
complete -c hoopx -n "__hoopx_at 'requests review'" -l help
complete -c hoopx -n "__hoopx_at 'requests review'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests review'" -l object
complete -c hoopx -n "__hoopx_at 'requests review'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'requests review'" -s q
complete -c hoopx -n "__hoopx_at 'requests review'" -l quiet
complete -c hoopx -n "__hoopx_at 'requests review'" -s v
complete -c hoopx -n "__hoopx_at 'requests review'" -l verbose
complete -c hoopx -n "__hoopx_at 'approve'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'approve'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'approve'" -l broker -x
complete -c hoopx -n "__hoopx_at 'approve'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'approve'" -l comment -x
complete -c hoopx -n "__hoopx_at 'approve'" -l debug
complete -c hoopx -n "__hoopx_at 'approve'" -l help
complete -c hoopx -n "__hoopx_at 'approve'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'approve'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'approve'" -s q
complete -c hoopx -n "__hoopx_at 'approve'" -l quiet
complete -c hoopx -n "__hoopx_at 'approve'" -s v
complete -c hoopx -n "__hoopx_at 'approve'" -l verbose
complete -c hoopx -n "__hoopx_at 'approve'" -l watch
complete -c hoopx -n "__hoopx_at 'approve'" -s y
complete -c hoopx -n "__hoopx_at 'approve'" -l yes
complete -c hoopx -n "__hoopx_at 'deny'" -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'deny'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'deny'" -l broker -x
complete -c hoopx -n "__hoopx_at 'deny'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'deny'" -l comment -x
complete -c hoopx -n "__hoopx_at 'deny'" -l debug
complete -c hoopx -n "__hoopx_at 'deny'" -l help
complete -c hoopx -n "__hoopx_at 'deny'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'deny'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'deny'" -s q
complete -c hoopx -n "__hoopx_at 'deny'" -l quiet
complete -c hoopx -n "__hoopx_at 'deny'" -s v
complete -c hoopx -n "__hoopx_at 'deny'" -l verbose
complete -c hoopx -n "__hoopx_at 'deny'" -s y
complete -c hoopx -n "__hoopx_at 'deny'" -l yes
complete -c hoopx -n "__hoopx_at 'sessions'" -a "ls show replay tail verify export kill"
complete -c hoopx -n "__hoopx_at 'sessions'" -l help
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l approved-by -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l denied
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l effect -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l help
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l limit -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -s q
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l reason -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l request -x -a "(__hoopx_names requests)"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l rule -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l since -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l state -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l table -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l text -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l until -x
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l user -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'sessions ls'" -s v
complete -c hoopx -n "__hoopx_at 'sessions ls'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions show'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions show'" -F
complete -c hoopx -n "__hoopx_at 'sessions show'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions show'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions show'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions show'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions show'" -l help
complete -c hoopx -n "__hoopx_at 'sessions show'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'sessions show'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions show'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions show'" -s q
complete -c hoopx -n "__hoopx_at 'sessions show'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions show'" -l statements
complete -c hoopx -n "__hoopx_at 'sessions show'" -s v
complete -c hoopx -n "__hoopx_at 'sessions show'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions replay'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions replay'" -F
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l at -x
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l help
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l idle -x
complete -c hoopx -n "__hoopx_at 'sessions replay'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions replay'" -s q
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l speed -x
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l statement -x
complete -c hoopx -n "__hoopx_at 'sessions replay'" -s v
complete -c hoopx -n "__hoopx_at 'sessions replay'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions tail'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions tail'" -F
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions tail'" -s f
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l follow
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l help
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l last -x
complete -c hoopx -n "__hoopx_at 'sessions tail'" -s n -x
complete -c hoopx -n "__hoopx_at 'sessions tail'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions tail'" -s q
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions tail'" -s v
complete -c hoopx -n "__hoopx_at 'sessions tail'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions verify'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions verify'" -F
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l help
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l key -x
complete -c hoopx -n "__hoopx_at 'sessions verify'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions verify'" -s q
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions verify'" -s v
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions verify'" -l witness -x
complete -c hoopx -n "__hoopx_at 'sessions export'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions export'" -F
complete -c hoopx -n "__hoopx_at 'sessions export'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions export'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions export'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions export'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions export'" -l format -x -a "recording jsonl csv asciicast ocsf"
complete -c hoopx -n "__hoopx_at 'sessions export'" -l help
complete -c hoopx -n "__hoopx_at 'sessions export'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'sessions export'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions export'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions export'" -s q
complete -c hoopx -n "__hoopx_at 'sessions export'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions export'" -l to -r -F
complete -c hoopx -n "__hoopx_at 'sessions export'" -s v
complete -c hoopx -n "__hoopx_at 'sessions export'" -l verbose
complete -c hoopx -n "__hoopx_at 'sessions kill'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l broker -x
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l debug
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l help
complete -c hoopx -n "__hoopx_at 'sessions kill'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'sessions kill'" -s q
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l quiet
complete -c hoopx -n "__hoopx_at 'sessions kill'" -s v
complete -c hoopx -n "__hoopx_at 'sessions kill'" -l verbose
complete -c hoopx -n "__hoopx_at 'leases'" -a "ls revoke"
complete -c hoopx -n "__hoopx_at 'leases'" -l help
complete -c hoopx -n "__hoopx_at 'leases ls'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'leases ls'" -l all
complete -c hoopx -n "__hoopx_at 'leases ls'" -l broker -x
complete -c hoopx -n "__hoopx_at 'leases ls'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'leases ls'" -l debug
complete -c hoopx -n "__hoopx_at 'leases ls'" -l help
complete -c hoopx -n "__hoopx_at 'leases ls'" -l limit -x
complete -c hoopx -n "__hoopx_at 'leases ls'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'leases ls'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'leases ls'" -s q
complete -c hoopx -n "__hoopx_at 'leases ls'" -l quiet
complete -c hoopx -n "__hoopx_at 'leases ls'" -l session -x -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'leases ls'" -l state -x
complete -c hoopx -n "__hoopx_at 'leases ls'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'leases ls'" -l user -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'leases ls'" -s v
complete -c hoopx -n "__hoopx_at 'leases ls'" -l verbose
complete -c hoopx -n "__hoopx_at 'leases revoke'" -a "(__hoopx_names leases)"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l all
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l broker -x
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l debug
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l help
complete -c hoopx -n "__hoopx_at 'leases revoke'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -s q
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l quiet
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l reason -x
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l user -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'leases revoke'" -s v
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l verbose
complete -c hoopx -n "__hoopx_at 'leases revoke'" -l yes
complete -c hoopx -n "__hoopx_at 'audit'" -a "events hold release holds gc verify checkpoint"
complete -c hoopx -n "__hoopx_at 'audit'" -l help
complete -c hoopx -n "__hoopx_at 'audit events'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'audit events'" -l broker -x
complete -c hoopx -n "__hoopx_at 'audit events'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'audit events'" -l debug
complete -c hoopx -n "__hoopx_at 'audit events'" -s f
complete -c hoopx -n "__hoopx_at 'audit events'" -l follow
complete -c hoopx -n "__hoopx_at 'audit events'" -l help
complete -c hoopx -n "__hoopx_at 'audit events'" -l limit -x
complete -c hoopx -n "__hoopx_at 'audit events'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit events'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit events'" -s q
complete -c hoopx -n "__hoopx_at 'audit events'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit events'" -l session -x -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'audit events'" -l since -x
complete -c hoopx -n "__hoopx_at 'audit events'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'audit events'" -l type -x
complete -c hoopx -n "__hoopx_at 'audit events'" -l until -x
complete -c hoopx -n "__hoopx_at 'audit events'" -l user -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'audit events'" -s v
complete -c hoopx -n "__hoopx_at 'audit events'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit hold'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'audit hold'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'audit hold'" -l broker -x
complete -c hoopx -n "__hoopx_at 'audit hold'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'audit hold'" -l debug
complete -c hoopx -n "__hoopx_at 'audit hold'" -l help
complete -c hoopx -n "__hoopx_at 'audit hold'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit hold'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit hold'" -s q
complete -c hoopx -n "__hoopx_at 'audit hold'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit hold'" -l reason -x
complete -c hoopx -n "__hoopx_at 'audit hold'" -s v
complete -c hoopx -n "__hoopx_at 'audit hold'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit release'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'audit release'" -l broker -x
complete -c hoopx -n "__hoopx_at 'audit release'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'audit release'" -l debug
complete -c hoopx -n "__hoopx_at 'audit release'" -l help
complete -c hoopx -n "__hoopx_at 'audit release'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit release'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit release'" -s q
complete -c hoopx -n "__hoopx_at 'audit release'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit release'" -l reason -x
complete -c hoopx -n "__hoopx_at 'audit release'" -s v
complete -c hoopx -n "__hoopx_at 'audit release'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit holds'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'audit holds'" -l all
complete -c hoopx -n "__hoopx_at 'audit holds'" -l broker -x
complete -c hoopx -n "__hoopx_at 'audit holds'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'audit holds'" -l debug
complete -c hoopx -n "__hoopx_at 'audit holds'" -l help
complete -c hoopx -n "__hoopx_at 'audit holds'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit holds'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit holds'" -s q
complete -c hoopx -n "__hoopx_at 'audit holds'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit holds'" -l session -x -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'audit holds'" -s v
complete -c hoopx -n "__hoopx_at 'audit holds'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit gc'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'audit gc'" -l broker -x
complete -c hoopx -n "__hoopx_at 'audit gc'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'audit gc'" -l debug
complete -c hoopx -n "__hoopx_at 'audit gc'" -l dry-run
complete -c hoopx -n "__hoopx_at 'audit gc'" -l help
complete -c hoopx -n "__hoopx_at 'audit gc'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit gc'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit gc'" -s q
complete -c hoopx -n "__hoopx_at 'audit gc'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit gc'" -s v
complete -c hoopx -n "__hoopx_at 'audit gc'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit verify'" -a ""
complete -c hoopx -n "__hoopx_at 'audit verify'" -F
complete -c hoopx -n "__hoopx_at 'audit verify'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'audit verify'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'audit verify'" -l debug
complete -c hoopx -n "__hoopx_at 'audit verify'" -l help
complete -c hoopx -n "__hoopx_at 'audit verify'" -l key -x
complete -c hoopx -n "__hoopx_at 'audit verify'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit verify'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit verify'" -s q
complete -c hoopx -n "__hoopx_at 'audit verify'" -l quick
complete -c hoopx -n "__hoopx_at 'audit verify'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit verify'" -l since -r -F
complete -c hoopx -n "__hoopx_at 'audit verify'" -s v
complete -c hoopx -n "__hoopx_at 'audit verify'" -l verbose
complete -c hoopx -n "__hoopx_at 'audit verify'" -l witness -x
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l cosigned
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l debug
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l help
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -s q
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l quiet
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -s v
complete -c hoopx -n "__hoopx_at 'audit checkpoint'" -l verbose
complete -c hoopx -n "__hoopx_at 'policy'" -a "check test explain replay"
complete -c hoopx -n "__hoopx_at 'policy'" -l help
complete -c hoopx -n "__hoopx_at 'policy check'" -a ""
complete -c hoopx -n "__hoopx_at 'policy check'" -F
complete -c hoopx -n "__hoopx_at 'policy check'" -l debug
complete -c hoopx -n "__hoopx_at 'policy check'" -l help
complete -c hoopx -n "__hoopx_at 'policy check'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy check'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy check'" -s q
complete -c hoopx -n "__hoopx_at 'policy check'" -l quiet
complete -c hoopx -n "__hoopx_at 'policy check'" -s v
complete -c hoopx -n "__hoopx_at 'policy check'" -l verbose
complete -c hoopx -n "__hoopx_at 'policy test'" -a ""
complete -c hoopx -n "__hoopx_at 'policy test'" -F
complete -c hoopx -n "__hoopx_at 'policy test'" -l debug
complete -c hoopx -n "__hoopx_at 'policy test'" -l help
complete -c hoopx -n "__hoopx_at 'policy test'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy test'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy test'" -s q
complete -c hoopx -n "__hoopx_at 'policy test'" -l quiet
complete -c hoopx -n "__hoopx_at 'policy test'" -s v
complete -c hoopx -n "__hoopx_at 'policy test'" -l verbose
complete -c hoopx -n "__hoopx_at 'policy explain'" -l approvals -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l as -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'policy explain'" -l at -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l classify -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l connect
complete -c hoopx -n "__hoopx_at 'policy explain'" -l debug
complete -c hoopx -n "__hoopx_at 'policy explain'" -l extend
complete -c hoopx -n "__hoopx_at 'policy explain'" -l for -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l groups -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l help
complete -c hoopx -n "__hoopx_at 'policy explain'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'policy explain'" -l kind -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l label -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy explain'" -l on -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'policy explain'" -l on-behalf-of -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'policy explain'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy explain'" -l policies -r -F
complete -c hoopx -n "__hoopx_at 'policy explain'" -s q
complete -c hoopx -n "__hoopx_at 'policy explain'" -l quiet
complete -c hoopx -n "__hoopx_at 'policy explain'" -l reason -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l recording -r -F
complete -c hoopx -n "__hoopx_at 'policy explain'" -l statement -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l their-groups -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -l ticket -x
complete -c hoopx -n "__hoopx_at 'policy explain'" -s v
complete -c hoopx -n "__hoopx_at 'policy explain'" -l verbose
complete -c hoopx -n "__hoopx_at 'policy replay'" -a "(__hoopx_names sessions)"
complete -c hoopx -n "__hoopx_at 'policy replay'" -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'policy replay'" -l against -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l broker -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l classify -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l debug
complete -c hoopx -n "__hoopx_at 'policy replay'" -l exit-code -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -l help
complete -c hoopx -n "__hoopx_at 'policy replay'" -l identity -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -l label -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -l limit -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy replay'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'policy replay'" -l policies -r -F
complete -c hoopx -n "__hoopx_at 'policy replay'" -s q
complete -c hoopx -n "__hoopx_at 'policy replay'" -l quiet
complete -c hoopx -n "__hoopx_at 'policy replay'" -l since -x
complete -c hoopx -n "__hoopx_at 'policy replay'" -l target -x -a "(__hoopx_names targets)"
complete -c hoopx -n "__hoopx_at 'policy replay'" -l user -x -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'policy replay'" -s v
complete -c hoopx -n "__hoopx_at 'policy replay'" -l verbose
complete -c hoopx -n "__hoopx_at 'admin'" -a "revoke restore revoked"
complete -c hoopx -n "__hoopx_at 'admin'" -l help
complete -c hoopx -n "__hoopx_at 'admin revoke'" -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l broker -x
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l debug
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l help
complete -c hoopx -n "__hoopx_at 'admin revoke'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin revoke'" -s q
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l quiet
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l reason -x
complete -c hoopx -n "__hoopx_at 'admin revoke'" -s v
complete -c hoopx -n "__hoopx_at 'admin revoke'" -l verbose
complete -c hoopx -n "__hoopx_at 'admin restore'" -a "(__hoopx_names users)"
complete -c hoopx -n "__hoopx_at 'admin restore'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'admin restore'" -l broker -x
complete -c hoopx -n "__hoopx_at 'admin restore'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'admin restore'" -l debug
complete -c hoopx -n "__hoopx_at 'admin restore'" -l help
complete -c hoopx -n "__hoopx_at 'admin restore'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin restore'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin restore'" -s q
complete -c hoopx -n "__hoopx_at 'admin restore'" -l quiet
complete -c hoopx -n "__hoopx_at 'admin restore'" -s v
complete -c hoopx -n "__hoopx_at 'admin restore'" -l verbose
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l broker -x
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l debug
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l help
complete -c hoopx -n "__hoopx_at 'admin revoked'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'admin revoked'" -s q
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l quiet
complete -c hoopx -n "__hoopx_at 'admin revoked'" -s v
complete -c hoopx -n "__hoopx_at 'admin revoked'" -l verbose
complete -c hoopx -n "__hoopx_at 'broker'" -a "run check migrate keys"
complete -c hoopx -n "__hoopx_at 'broker'" -l help
complete -c hoopx -n "__hoopx_at 'broker run'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'broker run'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'broker run'" -l debug
complete -c hoopx -n "__hoopx_at 'broker run'" -l help
complete -c hoopx -n "__hoopx_at 'broker run'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker run'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker run'" -s q
complete -c hoopx -n "__hoopx_at 'broker run'" -l quiet
complete -c hoopx -n "__hoopx_at 'broker run'" -l standby
complete -c hoopx -n "__hoopx_at 'broker run'" -s v
complete -c hoopx -n "__hoopx_at 'broker run'" -l verbose
complete -c hoopx -n "__hoopx_at 'broker run'" -l workers -x
complete -c hoopx -n "__hoopx_at 'broker check'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'broker check'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'broker check'" -l debug
complete -c hoopx -n "__hoopx_at 'broker check'" -l help
complete -c hoopx -n "__hoopx_at 'broker check'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker check'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker check'" -s q
complete -c hoopx -n "__hoopx_at 'broker check'" -l quiet
complete -c hoopx -n "__hoopx_at 'broker check'" -s v
complete -c hoopx -n "__hoopx_at 'broker check'" -l verbose
complete -c hoopx -n "__hoopx_at 'broker migrate'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l debug
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l help
complete -c hoopx -n "__hoopx_at 'broker migrate'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker migrate'" -s q
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l quiet
complete -c hoopx -n "__hoopx_at 'broker migrate'" -s v
complete -c hoopx -n "__hoopx_at 'broker migrate'" -l verbose
complete -c hoopx -n "__hoopx_at 'broker keys'" -a "rotate"
complete -c hoopx -n "__hoopx_at 'broker keys'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'broker keys'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'broker keys'" -l debug
complete -c hoopx -n "__hoopx_at 'broker keys'" -l help
complete -c hoopx -n "__hoopx_at 'broker keys'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker keys'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker keys'" -s q
complete -c hoopx -n "__hoopx_at 'broker keys'" -l quiet
complete -c hoopx -n "__hoopx_at 'broker keys'" -s v
complete -c hoopx -n "__hoopx_at 'broker keys'" -l verbose
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -s c -r -F
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l config -r -F
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l debug
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l help
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -s q
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l quiet
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l to -r -F
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -s v
complete -c hoopx -n "__hoopx_at 'broker keys rotate'" -l verbose
complete -c hoopx -n "__hoopx_at 'doctor'" -l account -x -a "(__hoopx_names accounts)"
complete -c hoopx -n "__hoopx_at 'doctor'" -l broker -x
complete -c hoopx -n "__hoopx_at 'doctor'" -l ca -r -F
complete -c hoopx -n "__hoopx_at 'doctor'" -l debug
complete -c hoopx -n "__hoopx_at 'doctor'" -l help
complete -c hoopx -n "__hoopx_at 'doctor'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'doctor'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'doctor'" -s q
complete -c hoopx -n "__hoopx_at 'doctor'" -l quiet
complete -c hoopx -n "__hoopx_at 'doctor'" -s v
complete -c hoopx -n "__hoopx_at 'doctor'" -l verbose
complete -c hoopx -n "__hoopx_at 'completion'" -a "bash zsh fish powershell"
complete -c hoopx -n "__hoopx_at 'completion'" -l debug
complete -c hoopx -n "__hoopx_at 'completion'" -l help
complete -c hoopx -n "__hoopx_at 'completion'" -s o -x -a "table json"
complete -c hoopx -n "__hoopx_at 'completion'" -l output -x -a "table json"
complete -c hoopx -n "__hoopx_at 'completion'" -s q
complete -c hoopx -n "__hoopx_at 'completion'" -l quiet
complete -c hoopx -n "__hoopx_at 'completion'" -s v
complete -c hoopx -n "__hoopx_at 'completion'" -l verbose
