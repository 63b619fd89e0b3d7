<?php
// Makes the calls of a job by PHP's streams over its own TLS: a process a connection, all from one.
//
// usage: client.php PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

function make(string $port, array $call): void
{
    $headers = ['connection: close'];
    foreach ($call['headers'] as [$name, $value]) {
        $headers[] = "$name: $value";
    }
    $headers[] = 'x-plan: ' . json_encode($call['plan']);
    $context = stream_context_create([
        'http' => [
            'method' => $call['method'],
            'header' => $headers,
            'content' => implode('', array_map('base64_decode', $call['body'])),
            'protocol_version' => 1.1,
            'ignore_errors' => true,
        ],
    ]);
    $stream = fopen("https://localhost:$port" . $call['path'], 'r', false, $context);
    if (!$stream) {
        exit(1);
    }
    while (!feof($stream)) {
        fread($stream, 65536);
    }
    $status = (int) explode(' ', stream_get_meta_data($stream)['wrapper_data'][0])[1];
    fclose($stream);
    if ($status !== $call['plan']['status']) {
        fwrite(STDERR, $call['plan']['id'] . ": $status\n");
        exit(1);
    }
}

[, $port, $job] = $argv;
$connections = array_map(fn($line) => json_decode($line, true), file($job));
$children = [];
// The first call is the process's own: its TLS library is not there before.
foreach (array_shift($connections)['calls'] as $call) {
    make($port, $call);
}
foreach ($connections as $connection) {
    $child = pcntl_fork();
    if ($child === 0) {
        foreach ($connection['calls'] as $call) {
            make($port, $call);
        }
        exit(0);
    }
    $children[] = $child;
}
$failed = false;
foreach ($children as $child) {
    pcntl_waitpid($child, $status);
    $failed = $failed || $status !== 0;
}
exit($failed ? 1 : 0);
