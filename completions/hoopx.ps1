# hoopx completion for PowerShell. Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit.
$script:HoopxWords = @{
    '' = @('demo', 'login', 'logout', 'whoami', 'accounts', 'token', 'ls', 'show', 'connect', 'status', 'disconnect', 'config', 'exec', 'credentials', 'sql', 'agent', 'classify', 'request', 'requests', 'approve', 'deny', 'sessions', 'leases', 'audit', 'policy', 'admin', 'broker', 'completion', '--help', '--version', '--debug')
    'demo' = @('--debug', '--help', '--keep', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'login' = @('--broker', '--browser', '--ca', '--debug', '--help', '--issuer', '--no-browser', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'logout' = @('--account', '--all', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'whoami' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'accounts' = @('ls', 'use', '--help')
    'accounts ls' = @('--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'accounts use' = @('--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'token' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'ls' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'show' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'connect' = @('--account', '--background', '--break-glass', '--broker', '--ca', '--debug', '--for', '--help', '--key', '-o', '--output', '--port', '--print', '-q', '--quiet', '--reason', '--request', '--socket', '--ticket', '-v', '--verbose', '--wait')
    'status' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '--print', '-q', '--quiet', '-v', '--verbose')
    'disconnect' = @('--account', '--all', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'config' = @('psql', 'ssh', 'kube', '--help')
    'config psql' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--undo', '-v', '--verbose', '--yes')
    'config ssh' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--undo', '-v', '--verbose')
    'config kube' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--undo', '-v', '--verbose')
    'exec' = @('--account', '--break-glass', '--broker', '--ca', '--debug', '--events', '--for', '--help', '--key', '-o', '--output', '-q', '--quiet', '--reason', '--request', '--ticket', '--timeout', '-v', '--verbose', '--wait')
    'credentials' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'sql' = @('-1', '--account', '--break-glass', '--broker', '--ca', '--debug', '--for', '--help', '--keep-going', '--key', '-o', '--output', '--param', '--params', '-q', '--quiet', '--reason', '--request', '--single-transaction', '--ticket', '-v', '--verbose', '--wait')
    'agent' = @('--account', '--as', '--broker', '--ca', '--debug', '--for', '--help', '--idle', '--instructions', '-o', '--output', '-q', '--quiet', '--reason', '--target', '--ticket', '-v', '--verbose', '--wait')
    'classify' = @('--account', '--broker', '--ca', '--debug', '--for', '--help', '-o', '--output', '-q', '--quiet', '--reason', '--request', '--sample', '--schema', '--ticket', '-v', '--verbose', '--wait')
    'request' = @('--account', '--break-glass', '--broker', '--ca', '--debug', '--extend', '--for', '--help', '--key', '-o', '--output', '-q', '--quiet', '--reason', '--ticket', '--unmask', '-v', '--verbose', '--wait')
    'requests' = @('ls', 'show', 'wait', 'cancel', 'review', '--help')
    'requests ls' = @('--account', '--broker', '--ca', '--debug', '--help', '--limit', '--mine', '-o', '--output', '-q', '--quiet', '--requester', '--review', '--state', '--target', '--to-decide', '-v', '--verbose')
    'requests show' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'requests wait' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose', '--wait')
    'requests cancel' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'requests review' = @('--accept', '--account', '--broker', '--ca', '--comment', '--debug', '--help', '-o', '--object', '--output', '-q', '--quiet', '-v', '--verbose')
    'approve' = @('--account', '--broker', '--ca', '--comment', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose', '--watch', '-y', '--yes')
    'deny' = @('--account', '--broker', '--ca', '--comment', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose', '-y', '--yes')
    'sessions' = @('ls', 'show', 'replay', 'tail', 'verify', 'export', 'kill', '--help')
    'sessions ls' = @('--account', '--approved-by', '--broker', '--ca', '--debug', '--denied', '--effect', '--help', '--limit', '-o', '--output', '-q', '--quiet', '--reason', '--request', '--rule', '--since', '--state', '--table', '--target', '--text', '--ticket', '--until', '--user', '-v', '--verbose')
    'sessions show' = @('--account', '--broker', '--ca', '--debug', '--help', '--identity', '-o', '--output', '-q', '--quiet', '--statements', '-v', '--verbose')
    'sessions replay' = @('--account', '--at', '--broker', '--ca', '--debug', '--help', '--identity', '--idle', '-o', '--output', '-q', '--quiet', '--speed', '--statement', '-v', '--verbose')
    'sessions tail' = @('--account', '--broker', '--ca', '--debug', '-f', '--follow', '--help', '--identity', '--last', '-n', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'sessions verify' = @('--account', '--broker', '--ca', '--debug', '--help', '--identity', '--key', '-o', '--output', '-q', '--quiet', '-v', '--verbose', '--witness')
    'sessions export' = @('--account', '--broker', '--ca', '--debug', '--format', '--help', '--identity', '-o', '--output', '-q', '--quiet', '--to', '-v', '--verbose')
    'sessions kill' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'leases' = @('ls', 'revoke', '--help')
    'leases ls' = @('--account', '--all', '--broker', '--ca', '--debug', '--help', '--limit', '-o', '--output', '-q', '--quiet', '--session', '--state', '--target', '--user', '-v', '--verbose')
    'leases revoke' = @('--account', '--all', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--reason', '--target', '--user', '-v', '--verbose', '--yes')
    'audit' = @('events', 'hold', 'release', 'holds', 'gc', 'verify', 'checkpoint', '--help')
    'audit events' = @('--account', '--broker', '--ca', '--debug', '-f', '--follow', '--help', '--limit', '-o', '--output', '-q', '--quiet', '--session', '--since', '--target', '--type', '--until', '--user', '-v', '--verbose')
    'audit hold' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--reason', '-v', '--verbose')
    'audit release' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--reason', '-v', '--verbose')
    'audit holds' = @('--account', '--all', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--session', '-v', '--verbose')
    'audit gc' = @('--account', '--broker', '--ca', '--debug', '--dry-run', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'audit verify' = @('-c', '--config', '--debug', '--help', '--key', '-o', '--output', '-q', '--quick', '--quiet', '--since', '-v', '--verbose', '--witness')
    'audit checkpoint' = @('-c', '--config', '--cosigned', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'policy' = @('check', 'test', 'explain', 'replay', '--help')
    'policy check' = @('--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'policy test' = @('--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'policy explain' = @('--approvals', '--as', '--at', '--classify', '--connect', '--debug', '--extend', '--for', '--groups', '--help', '--identity', '--kind', '--label', '-o', '--on', '--on-behalf-of', '--output', '--policies', '-q', '--quiet', '--reason', '--recording', '--statement', '--their-groups', '--ticket', '-v', '--verbose')
    'policy replay' = @('--account', '--against', '--broker', '-c', '--ca', '--classify', '--config', '--debug', '--exit-code', '--help', '--identity', '--label', '--limit', '-o', '--output', '--policies', '-q', '--quiet', '--since', '--target', '--user', '-v', '--verbose')
    'admin' = @('revoke', 'restore', 'revoked', '--help')
    'admin revoke' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--reason', '-v', '--verbose')
    'admin restore' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'admin revoked' = @('--account', '--broker', '--ca', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'broker' = @('run', 'check', 'migrate', 'keys', '--help')
    'broker run' = @('-c', '--config', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--standby', '-v', '--verbose')
    'broker check' = @('-c', '--config', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'broker migrate' = @('-c', '--config', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'broker keys' = @('rotate', '-c', '--config', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
    'broker keys rotate' = @('-c', '--config', '--debug', '--help', '-o', '--output', '-q', '--quiet', '--to', '-v', '--verbose')
    'completion' = @('bash', 'zsh', 'fish', 'powershell', '--debug', '--help', '-o', '--output', '-q', '--quiet', '-v', '--verbose')
}
$script:HoopxKinds = @{
    'accounts use' = 'accounts'
    'token' = 'targets'
    'show' = 'targets'
    'connect' = 'targets'
    'status' = 'targets'
    'disconnect' = 'targets'
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
    'sessions show' = 'sessions'
    'sessions replay' = 'sessions'
    'sessions verify' = 'sessions'
    'sessions export' = 'sessions'
    'sessions kill' = 'sessions'
    'leases revoke' = 'leases'
}
$script:HoopxBehind = @{
    '--account' = 'accounts'
    '--request' = 'requests'
    '--session' = 'sessions'
    '--target' = 'targets'
    'request --extend' = 'sessions'
}

Register-ArgumentCompleter -Native -CommandName hoopx -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    $before = ''
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.Extent.Text
        if ($word -eq '--') { return }
        $before = $word
        $next = "$path $word".Trim()
        if ($script:HoopxWords.ContainsKey($next)) { $path = $next }
    }
    $found = @($script:HoopxWords[$path])
    $kind = $script:HoopxKinds[$path]
    $behind = $script:HoopxBehind["$path $before"]
    if (-not $behind) { $behind = $script:HoopxBehind[$before] }
    if ($behind) {
        $found = @()
        $kind = $behind
    }
    if ($kind) {
        $place = if ($env:HOOPX_HOME) { $env:HOOPX_HOME } else { Join-Path $HOME '.hoopx' }
        $file = Join-Path (Join-Path $place 'names') $kind
        if (Test-Path $file) { $found += Get-Content $file }
    }
    $found | Where-Object { $_.StartsWith($wordToComplete) } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
