// A client on node-redis with its default options. Its words and lines are told in src/reference/libraries.rs.
const fs = require('fs');
const path = require('path');
const { createClient } = require('redis');

if (process.argv[2] === '--version') {
  // The package does not export its description.
  const folder = path.dirname(require.resolve('redis'));
  console.log(JSON.parse(fs.readFileSync(path.join(folder, '..', 'package.json'))).version);
  process.exit();
}
const [kind, , addresses, , out, channel, keys, everyUs, first] = process.argv.slice(2);
const log = fs.openSync(out, 'a');
const now = () => performance.timeOrigin + performance.now();
const note = (op, at, rest) => fs.writeSync(log, JSON.stringify({ at: Math.round(at * 1000), op, ...rest }) + '\n');

const outcome = (error) => {
  switch (error.code ?? error.constructor.name) {
    case 'ErrorReply': return error.message.split(' ')[0].toLowerCase();
    case 'ConnectionTimeoutError':
    case 'ETIMEDOUT': return error.syscall === 'read' ? 'reply-timeout' : 'connect-timeout';
    case 'ECONNREFUSED': return 'connect-refused';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH': return 'connect-unreachable';
    default: return 'reply-closed';
  }
};

(async () => {
  const client = createClient({ url: `redis://${addresses}` });
  // It reconnects by itself; only a subscriber tells how its connections fare.
  client.on('error', (error) => {
    if (kind === 'subscribe') note('connect', now(), { outcome: outcome(error).replace('reply-', 'read-') });
  });
  if (kind === 'subscribe') client.on('ready', () => note('connect', now(), { outcome: 'open' }));
  await client.connect();
  if (kind === 'subscribe') {
    await client.subscribe(channel, (message) => note('receive', now(), { seq: Number(message.split(' ')[0]) }));
    return;
  }
  const attempt = async (seq) => {
    const at = now();
    const rest = {};
    let ended = 'ok';
    try {
      if (kind === 'publish') rest.receivers = await client.publish(channel, String(seq));
      else if (kind === 'set') await client.set(keys + seq, String(seq));
      else await client.get(keys + seq);
    } catch (error) {
      ended = outcome(error);
    }
    note(kind, at, { seq, outcome: ended, us: Math.round((now() - at) * 1000), ...rest });
  };
  let due = now();
  for (let seq = Number(first); ; seq++) {
    await attempt(seq);
    due += Number(everyUs) / 1000;
    const rest = due - now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest)); else due = now();
  }
})();
