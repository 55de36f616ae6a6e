# hoopx completion for PowerShell. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.
$script:HoopxWords = @{
    '' = 'demo login logout whoami accounts token ls show connect status disconnect config exec credentials sql agent classify request requests approve deny sessions leases audit policy admin broker doctor completion'
    'demo' = ''
    'login' = ''
    'logout' = ''
    'whoami' = ''
    'accounts' = 'ls use'
    'accounts ls' = ''
    'accounts use' = ''
    'token' = ''
    'ls' = ''
    'show' = ''
    'connect' = ''
    'status' = ''
    'disconnect' = ''
    'config' = 'psql ssh kube'
    'config psql' = ''
    'config ssh' = ''
    'config kube' = ''
    'exec' = ''
    'credentials' = ''
    'sql' = ''
    'agent' = ''
    'classify' = ''
    'request' = ''
    'requests' = 'ls show wait cancel review'
    'requests ls' = ''
    'requests show' = ''
    'requests wait' = ''
    'requests cancel' = ''
    'requests review' = ''
    'approve' = ''
    'deny' = ''
    'sessions' = 'ls show replay tail verify export kill'
    'sessions ls' = ''
    'sessions show' = ''
    'sessions replay' = ''
    'sessions tail' = ''
    'sessions verify' = ''
    'sessions export' = ''
    'sessions kill' = ''
    'leases' = 'ls revoke'
    'leases ls' = ''
    'leases revoke' = ''
    'audit' = 'events hold release holds gc verify checkpoint'
    'audit events' = ''
    'audit hold' = ''
    'audit release' = ''
    'audit holds' = ''
    'audit gc' = ''
    'audit verify' = ''
    'audit checkpoint' = ''
    'policy' = 'check test explain replay'
    'policy check' = ''
    'policy test' = ''
    'policy explain' = ''
    'policy replay' = ''
    'admin' = 'revoke restore revoked'
    'admin revoke' = ''
    'admin restore' = ''
    'admin revoked' = ''
    'broker' = 'run check migrate keys'
    'broker run' = ''
    'broker check' = ''
    'broker migrate' = ''
    'broker keys' = 'rotate'
    'broker keys rotate' = ''
    'doctor' = ''
    'completion' = ''
}
$script:HoopxOptions = @{
    '' = '--debug --help --version'
    'demo' = '--debug --help --keep -o --output -q --quiet -v --verbose'
    'login' = '--broker --browser --ca --debug --help --issuer --no-browser -o --output -q --quiet -v --verbose'
    'logout' = '--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'whoami' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'accounts' = '--debug --help -o --output -q --quiet -v --verbose'
    'accounts ls' = '--debug --help -o --output -q --quiet -v --verbose'
    'accounts use' = '--broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'token' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'ls' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'show' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'connect' = '--account --background --break-glass --broker --ca --debug --for --help --key -o --output --port --print -q --quiet --reason --request --socket --ticket -v --verbose --wait'
    'status' = '--account --broker --ca --debug --help -o --output --print -q --quiet -v --verbose'
    'disconnect' = '--account --all --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'config' = '--help'
    'config psql' = '--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose --yes'
    'config ssh' = '--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose'
    'config kube' = '--account --broker --ca --debug --help -o --output -q --quiet --undo -v --verbose'
    'exec' = '--account --break-glass --broker --ca --debug --events --for --help --key -o --output -q --quiet --reason --request --ticket --timeout -v --verbose --wait'
    'credentials' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'sql' = '-1 --account --break-glass --broker --ca --debug --for --help --keep-going --key -o --output --param --params -q --quiet --reason --request --single-transaction --ticket -v --verbose --wait'
    'agent' = '--account --as --broker --ca --debug --for --help --idle --instructions -o --output -q --quiet --reason --target --ticket -v --verbose --wait'
    'classify' = '--account --broker --ca --debug --for --help -o --output -q --quiet --reason --request --sample --schema --ticket -v --verbose --wait'
    'request' = '--account --break-glass --broker --ca --debug --extend --for --help --key -o --output -q --quiet --reason --ticket --unmask -v --verbose --wait'
    'requests' = '--help'
    'requests ls' = '--account --broker --ca --debug --help --limit --mine -o --output -q --quiet --requester --review --state --target --to-decide -v --verbose'
    'requests show' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'requests wait' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose --wait'
    'requests cancel' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'requests review' = '--accept --account --broker --ca --comment --debug --help -o --object --output -q --quiet -v --verbose'
    'approve' = '--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose --watch -y --yes'
    'deny' = '--account --broker --ca --comment --debug --help -o --output -q --quiet -v --verbose -y --yes'
    'sessions' = '--help'
    'sessions ls' = '--account --approved-by --broker --ca --debug --denied --effect --help --limit -o --output -q --quiet --reason --request --rule --since --state --table --target --text --ticket --until --user -v --verbose'
    'sessions show' = '--account --broker --ca --debug --help --identity -o --output -q --quiet --statements -v --verbose'
    'sessions replay' = '--account --at --broker --ca --debug --help --identity --idle -o --output -q --quiet --speed --statement -v --verbose'
    'sessions tail' = '--account --broker --ca --debug -f --follow --help --identity --last -n -o --output -q --quiet -v --verbose'
    'sessions verify' = '--account --broker --ca --debug --help --identity --key -o --output -q --quiet -v --verbose --witness'
    'sessions export' = '--account --broker --ca --debug --format --help --identity -o --output -q --quiet --to -v --verbose'
    'sessions kill' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'leases' = '--help'
    'leases ls' = '--account --all --broker --ca --debug --help --limit -o --output -q --quiet --session --state --target --user -v --verbose'
    'leases revoke' = '--account --all --broker --ca --debug --help -o --output -q --quiet --reason --target --user -v --verbose --yes'
    'audit' = '--help'
    'audit events' = '--account --broker --ca --debug -f --follow --help --limit -o --output -q --quiet --session --since --target --type --until --user -v --verbose'
    'audit hold' = '--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose'
    'audit release' = '--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose'
    'audit holds' = '--account --all --broker --ca --debug --help -o --output -q --quiet --session -v --verbose'
    'audit gc' = '--account --broker --ca --debug --dry-run --help -o --output -q --quiet -v --verbose'
    'audit verify' = '-c --config --debug --help --key -o --output -q --quick --quiet --since -v --verbose --witness'
    'audit checkpoint' = '-c --config --cosigned --debug --help -o --output -q --quiet -v --verbose'
    'policy' = '--help'
    'policy check' = '--debug --help -o --output -q --quiet -v --verbose'
    'policy test' = '--debug --help -o --output -q --quiet -v --verbose'
    'policy explain' = '--approvals --as --at --classify --connect --debug --extend --for --groups --help --identity --kind --label -o --on --on-behalf-of --output --policies -q --quiet --reason --recording --statement --their-groups --ticket -v --verbose'
    'policy replay' = '--account --against --broker -c --ca --classify --config --debug --exit-code --help --identity --label --limit -o --output --policies -q --quiet --since --target --user -v --verbose'
    'admin' = '--help'
    'admin revoke' = '--account --broker --ca --debug --help -o --output -q --quiet --reason -v --verbose'
    'admin restore' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'admin revoked' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'broker' = '--help'
    'broker run' = '-c --config --debug --help -o --output -q --quiet --standby -v --verbose --workers'
    'broker check' = '-c --config --debug --help -o --output -q --quiet -v --verbose'
    'broker migrate' = '-c --config --debug --help -o --output -q --quiet -v --verbose'
    'broker keys' = '-c --config --debug --help -o --output -q --quiet -v --verbose'
    'broker keys rotate' = '-c --config --debug --help -o --output -q --quiet --to -v --verbose'
    'doctor' = '--account --broker --ca --debug --help -o --output -q --quiet -v --verbose'
    'completion' = '--debug --help -o --output -q --quiet -v --verbose'
}
$script:HoopxTakes = @{
    'accounts use' = 'accounts'
    'token' = 'targets'
    'show' = 'targets'
    'connect' = 'targets'
    'status' = 'targets'
    'disconnect' = 'targets'
    'config psql' = 'targets'
    'exec' = 'targets'
    'credentials' = 'targets'
    'sql' = 'targets'
    'classify' = 'targets'
    'request' = 'targets'
    'requests show' = 'requests'
    'requests wait' = 'requests'
    'requests cancel' = 'requests'
    'requests review' = 'requests'
    'approve' = 'requests'
    'deny' = 'requests'
    'sessions show' = 'sessions files'
    'sessions replay' = 'sessions files'
    'sessions tail' = 'sessions files'
    'sessions verify' = 'sessions files'
    'sessions export' = 'sessions files'
    'sessions kill' = 'sessions'
    'leases revoke' = 'leases'
    'audit hold' = 'sessions'
    'audit verify' = 'folders'
    'policy check' = 'folders'
    'policy test' = 'folders'
    'policy replay' = 'sessions files'
    'admin revoke' = 'users'
    'admin restore' = 'users'
    'completion' = '=bash =zsh =fish =powershell'
}
$script:HoopxBehind = @{
    'sql --output' = '=table =json =jsonl =csv'
    'sql -o' = '=table =json =jsonl =csv'
    'requests ls --state' = '=waiting =approved =denied =cancelled =expired =used'
    'classify --output' = '=yaml =table =json'
    'classify -o' = '=yaml =table =json'
    'audit verify --since' = 'files'
    'request --extend' = 'sessions'
    'policy explain --as' = 'users'
    '* --approvals' = '-'
    '* --as' = '-'
    '* --at' = '-'
    '* --broker' = '-'
    '* --classify' = '-'
    '* --comment' = '-'
    '* --effect' = '-'
    '* --exit-code' = '-'
    '* --for' = '-'
    '* --groups' = '-'
    '* --idle' = '-'
    '* --issuer' = '-'
    '* --key' = '-'
    '* --kind' = '-'
    '* --label' = '-'
    '* --last' = '-'
    '* --limit' = '-'
    '* --param' = '-'
    '* --port' = '-'
    '* --reason' = '-'
    '* --rule' = '-'
    '* --sample' = '-'
    '* --schema' = '-'
    '* --since' = '-'
    '* --speed' = '-'
    '* --state' = '-'
    '* --statement' = '-'
    '* --table' = '-'
    '* --text' = '-'
    '* --their-groups' = '-'
    '* --ticket' = '-'
    '* --timeout' = '-'
    '* --type' = '-'
    '* --unmask' = '-'
    '* --until' = '-'
    '* --wait' = '-'
    '* --witness' = '-'
    '* --workers' = '-'
    '* -n' = '-'
    '* --print' = '=all =url =psql =jdbc =env'
    '* --review' = '=open =accepted =objected'
    '* --format' = '=recording =jsonl =csv =asciicast =ocsf'
    '* --output' = '=table =json'
    '* -o' = '=table =json'
    '* --account' = 'accounts'
    '* --ca' = 'files'
    '* --config' = 'files'
    '* --events' = 'files'
    '* --identity' = 'files'
    '* --instructions' = 'files'
    '* --params' = 'files'
    '* --recording' = 'files'
    '* --socket' = 'files'
    '* --to' = 'files'
    '* -c' = 'files'
    '* --against' = 'folders'
    '* --policies' = 'folders'
    '* --request' = 'requests'
    '* --session' = 'sessions'
    '* --on' = 'targets'
    '* --target' = 'targets'
    '* --approved-by' = 'users'
    '* --on-behalf-of' = 'users'
    '* --requester' = 'users'
    '* --user' = 'users'
}

# Names of a kind. What a name may look like is checked here too.
function script:Get-HoopxName {
    param([string] $Kind, [string[]] $Typed)
    $place = if ($env:HOOPX_HOME) { $env:HOOPX_HOME } else { Join-Path $HOME '.hoopx' }
    $broker = "$env:HOOPX_BROKER"
    $account = if ($env:HOOPX_TOKEN) { '' } else { "$env:HOOPX_ACCOUNT" }
    $given = @()
    for ($at = 0; $at -lt $Typed.Count; $at++) {
        $word = $Typed[$at]
        if ($word -eq '--broker' -or $word -eq '--account') {
            if ($at + 1 -ge $Typed.Count) { continue }
            $word = $word + '=' + $Typed[$at + 1]
        }
        if ($word -like '--broker=*') { $broker = $word.Substring(9); $given += $word }
        if ($word -like '--account=*') { $account = $word.Substring(10); $given += $word }
    }
    $settings = Join-Path $place 'settings.json'
    if (-not $broker -and (Test-Path -PathType Leaf $settings)) {
        $broker = [string] (Get-Content -Raw $settings | ConvertFrom-Json).broker
    }
    if (-not $broker) { $broker = '127.0.0.1:8443' }
    $broker = $broker -replace '^https://', '' -replace '/$', ''
    if ($broker -notmatch ':[0-9]+$') { $broker = $broker + ':443' }
    if (-not $account -and $env:HOOPX_TOKEN) {
        $account = '_token'
    }
    else {
        $accounts = Join-Path $place 'accounts.json'
        if (-not $account -and (Test-Path -PathType Leaf $accounts)) {
            $account = [string] (Get-Content -Raw $accounts | ConvertFrom-Json)."https://$broker".current
        }
        $account = if ($account) { 'by-' + ($account -creplace '[^A-Za-z0-9.@+_-]', '_') } else { '_' }
    }
    $names = Join-Path $place 'names'
    $folder = Join-Path $names ($broker -creplace '[^A-Za-z0-9.-]', '_')
    if ($Kind -ne 'accounts') { $folder = Join-Path $folder $account }
    $file = Join-Path $folder $Kind
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    $fresh = 0
    if (Test-Path -PathType Leaf $file) {
        $lines = @(Get-Content $file)
        if ($lines.Count -gt 0 -and $lines[0] -match '^# ([0-9]{1,12}) ([0-9]{1,12})$') {
            $fresh = [long] $Matches[1]
            if ($now -lt [long] $Matches[2]) {
                $lines | Select-Object -Skip 1 | Where-Object { $_ -cmatch '^[A-Za-z0-9][A-Za-z0-9._@+-]*$' }
            }
        }
    }
    # Only a broker that a command has talked to before is asked.
    if ($Kind -ne 'accounts' -and $now -ge $fresh -and (Test-Path -PathType Container (Split-Path $folder))) {
        $start = [System.Diagnostics.ProcessStartInfo]::new('hoopx')
        $start.UseShellExecute = $false
        $start.RedirectStandardInput = $true
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        foreach ($word in @('refresh-names', $Kind) + $given) { $start.ArgumentList.Add($word) }
        try { $null = [System.Diagnostics.Process]::Start($start) } catch { $null = $_ }
    }
}

Register-ArgumentCompleter -Native -CommandName hoopx -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    $before = ''
    $typed = @()
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($word -eq '--') {
            # It is another command's turn.
            $behind = $element.Extent.EndOffset - $commandAst.Extent.StartOffset
            $rest = $commandAst.Extent.Text.Substring($behind).TrimStart()
            $found = [System.Management.Automation.CommandCompletion]::CompleteInput($rest, $rest.Length, $null)
            return $found.CompletionMatches
        }
        $before = $word
        $typed += $word
        $next = "$path $word".Trim()
        if ($script:HoopxWords.ContainsKey($next)) { $path = $next }
    }
    $start = ''
    $current = $wordToComplete
    if ($current -like '--*=*') {
        $before, $current = $current -split '=', 2
        $start = "$before="
    }
    $takes = $script:HoopxBehind["$path $before"]
    if (-not $takes) { $takes = $script:HoopxBehind["* $before"] }
    $found = @()
    if (-not $takes) {
        if ($current -like '-*') {
            $found = @($script:HoopxOptions[$path] -split ' ')
        }
        else {
            $found = @($script:HoopxWords[$path] -split ' ')
            $takes = $script:HoopxTakes[$path]
        }
    }
    foreach ($token in @($takes -split ' ')) {
        if ($token -like '=*') {
            $found += $token.Substring(1)
        }
        elseif ($token -eq 'files' -or $token -eq 'folders') {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($current)
        }
        elseif ($token -and $token -ne '-') {
            $found += @(Get-HoopxName -Kind $token -Typed $typed)
        }
    }
    $found | Where-Object { $_ -and $_.StartsWith($current) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$start$_", $_, 'ParameterValue', $_)
    }
}
