// npm's etcd3 on a server: each step prints what it saw, levelled, so that two servers can be compared line by line.
'use strict';
const fs = require('fs');
const { Etcd3 } = require('etcd3');

// The second argument tells how to log in, and the files of certificates.
const { auth, files } = JSON.parse(process.argv[3] || '{}');
const credentials = files && Object.fromEntries(Object.entries(files).map(([name, file]) => [name, fs.readFileSync(file)]));
const client = new Etcd3({ hosts: process.argv[2], dialTimeout: 20000, auth, credentials });
const say = (what, value) => console.log(what, JSON.stringify(value));
const kvOf = kv => ({ key: `${kv.key}`, value: `${kv.value}`, created: kv.create_revision, mod: kv.mod_revision, version: kv.version });
const event = (emitter, name) => new Promise(resolve => emitter.once(name, resolve));

async function keys() {
  say('put', (await client.put('a').value('1')).header.revision);
  await client.put('ab').value('2');
  await client.put('b').value('3');
  say('get', [await client.get('a').string(), await client.get('nobody').string()]);
  say('number', await client.get('b').number());
  say('exec', (await client.get('a').exec()).kvs.map(kvOf));
  say('prefix', await client.getAll().prefix('a').strings());
  say('sorted', await client.getAll().sort('Key', 'Descend').limit(2).keys());
  say('count', await client.getAll().prefix('').count());
  say('between', await client.getAll().inRange({ start: 'a', end: 'b' }).strings());
  say('old', await client.put('a').value('4').getPrevious().then(kvOf));
  say('touch', (await client.put('a').touch()).header.revision);
  say('revision', await client.get('a').revision(2).string());
  say('deleted', (await client.delete().key('b').getPrevious()).map(kvOf));
  say('ns', await client.namespace('ns/').put('x').value('y').then(() => client.get('ns/x').string()));
  say('gone', (await client.delete().all()).deleted);
}

async function transactions() {
  await client.put('a').value('1');
  const done = await client.if('a', 'Value', '==', '1').and('nobody', 'Create', '==', 0)
    .then(client.put('a').value('2'), client.get('a')).else(client.delete().key('a')).commit();
  say('then', [done.succeeded, done.responses[1].response_range.kvs.map(kvOf)]);
  const other = await client.if('a', 'Version', '>', 99).then(client.put('a').value('3')).else(client.get('a')).commit();
  say('else', [other.succeeded, other.responses.length]);
  await client.stm().transact(async tx => {
    const value = Number(await tx.get('a').string());
    await tx.put('a').value(String(value + 40));
  });
  say('stm', await client.get('a').string());
}

async function watches() {
  const watcher = await client.watch().prefix('w').withPreviousKV().create();
  const events = [];
  const all = new Promise(resolve => watcher.on('data', response => {
    for (const e of response.events) events.push([e.type, `${e.kv.key}`, `${e.kv.value}`, e.prev_kv && `${e.prev_kv.value}`]);
    if (events.length >= 3) resolve();
  }));
  await client.put('w1').value('1');
  await client.put('w1').value('2');
  await client.delete().key('w1');
  await all;
  say('events', events);
  await watcher.cancel();
  const revision = (await client.put('p').value('1')).header.revision;
  await client.put('p').value('2');
  const past = await client.watch().key('p').startRevision(revision).watcher();
  const put = await event(past, 'put');
  say('past', `${put.value}`);
  await past.cancel();
}

async function leases() {
  const lease = client.lease(60, { autoKeepAlive: false });
  await lease.put('l').value('1');
  const keys = (await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true }));
  say('lease', [keys.grantedTTL, keys.keys.map(String)]);
  await lease.keepaliveOnce();
  await lease.revoke();
  say('revoked', await client.get('l').string());
  const unknown = await client.put('x').value('1').lease(4711).exec().catch(e => [e.constructor.name, e.message]);
  say('unknown', unknown);
}

async function locks() {
  const lock = client.lock('l');
  await lock.acquire();
  const refused = await client.lock('l').acquire().catch(e => e.constructor.name);
  await lock.release();
  say('lock', [refused, await client.lock('l').do(async () => 'mine')]);
  const election = client.election('e', 10);
  const campaign = election.campaign('me');
  await event(campaign, 'elected');
  say('leader', await election.leader());
  const observer = await election.observe();
  say('observed', observer.leader());
  await observer.cancel();
  await campaign.resign();
  say('after', await election.leader() || null);
}

async function main() {
  for (const part of [keys, transactions, watches, leases, locks]) {
    console.log(`# ${part.name}`);
    await part();
  }
  say('member', (await client.cluster.memberList({})).members.map(m => m.name));
  client.close();
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1); });
