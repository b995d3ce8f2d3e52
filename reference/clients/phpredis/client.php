<?php // A client on phpredis with its default options. Its words and lines are told in src/reference/libraries.rs. With `anew`
// as its first word it makes a new object after every exception.
$anew = ($argv[1] ?? '') === 'anew';
if ($anew) array_splice($argv, 1, 1);
if (($argv[1] ?? '') === '--version') exit(phpversion('redis') . "\n");
[, $kind, , $addresses, , $out, $channel, $keys, $every_us, $first] = $argv;
[$host, $port] = explode(':', $addresses);
$log = fopen($out, 'a');
stream_set_write_buffer($log, 0);

function wall(): int { return (int) round(microtime(true) * 1e6); }
function mono(): int { return intdiv(hrtime(true), 1000); }
function note(string $op, int $at, array $rest): void {
    global $log;
    fwrite($log, json_encode(['at' => $at, 'op' => $op, ...$rest]) . "\n");
}

// `read error on connection` is said of a time limit and of a connection that ended; who waited for the limit met it.
function outcome(string $text, int $us): string {
    $limit = (int) ini_get('default_socket_timeout') * 1_000_000;
    return match (true) {
        (bool) preg_match('/^[A-Z]{4,}( |$)/', $text) => strtolower(explode(' ', $text)[0]),
        str_contains($text, 'refused') => 'connect-refused',
        str_contains($text, 'No route') || str_contains($text, 'unreachable') => 'connect-unreachable',
        str_contains($text, 'timed out') => 'connect-timeout',
        str_contains($text, 'read error') && $us >= $limit => 'reply-timeout',
        str_contains($text, 'read error') || str_contains($text, 'socket error') => 'reply-closed',
        default => 'connect-closed',
    };
}

function opened(): Redis {
    global $host, $port;
    $redis = new Redis();
    $redis->connect($host, (int) $port);
    return $redis;
}

while ($kind === 'subscribe') {
    $began = mono();
    try {
        $redis = opened();
        // The usual advice for a subscriber: no limit for reading.
        $redis->setOption(Redis::OPT_READ_TIMEOUT, -1);
        note('connect', wall(), ['outcome' => 'open']);
        $redis->subscribe([$channel], fn($redis, $channel, $message) => note('receive', wall(), ['seq' => (int) $message]));
        note('connect', wall(), ['outcome' => 'read-closed']);
    } catch (RedisException $error) {
        $end = str_replace('reply-', 'read-', outcome($error->getMessage(), mono() - $began));
        note('connect', wall(), ['outcome' => $end]);
    }
    usleep(100_000);
}

$redis = opened();
for ([$seq, $due] = [(int) $first, mono()];; $seq++) {
    [$at, $began, $rest] = [wall(), mono(), []];
    try {
        $redis ??= opened();
        $reply = match ($kind) {
            'publish' => $redis->publish($channel, (string) $seq),
            'set' => $redis->set($keys . $seq, (string) $seq),
            default => $redis->get($keys . $seq),
        };
        $text = $redis->getLastError();
        $redis->clearLastError();
        $ended = $reply === false && $text !== null ? outcome($text, 0) : 'ok';
        if ($kind === 'publish' && is_int($reply)) $rest = ['receivers' => $reply];
    } catch (RedisException $error) {
        $ended = outcome($error->getMessage(), mono() - $began);
        if ($anew) $redis = null;
    }
    note($kind, $at, ['seq' => $seq, 'outcome' => $ended, 'us' => mono() - $began, ...$rest]);
    $due += (int) $every_us;
    $left = $due - mono();
    if ($left > 0) usleep($left); else $due = mono();
}
