// Reads and uses a dev chain with TON clients that are not ours: node
// liteclient.js DIR. DIR holds global.json (a TON global config) and wallet.json
// (seed, chain id and address of a funded wallet, and a receiver).
//
// ton-lite-client speaks the protocol, @ton/ton builds the wallet, @ton/core reads
// cells and blocks, @ton/sandbox executes get-methods. Cells, hashes, BoC files and
// signatures are checked here with nothing of this repository's Go code: each
// answer's proof leads to a block whose hash validators of a key block signed.
//
// It uses the wallet first and prints {"sent":...}; a line on standard input lets
// it go on, with the chain at rest, and print what it read. Needs no network but
// the liteservers of the config.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const readline = require('readline')
const { Address, Cell, CellType, Dictionary, SendMode, TupleBuilder, crc32c, getMethodId, internal, loadShardStateUnsplit, loadTransaction, parseTuple, serializeTuple } = require('@ton/core')
const { keyPairFromSeed, signVerify } = require('@ton/crypto')
const { Executor } = require('@ton/sandbox')
const { WalletContractV5R1 } = require('@ton/ton')
const { LiteClient, LiteRoundRobinEngine, LiteSingleEngine } = require('ton-lite-client')
const { Functions } = require('ton-lite-client/dist/schema')

const MASTERCHAIN_SHARD = '-9223372036854775808'
const PAYMENTS = 3

const hex = (b) => Buffer.from(b).toString('hex')

function demand(what, ok) {
  if (!ok) throw new Error(what)
}

const same = (what, got, want) => demand(`${what}: ${got}, want ${want}`, String(got) === String(want))

// --- proofs ---

// The virtual root of a Merkle proof. @ton/core has checked that the hash in the
// proof is the hash of what is under it.
function virtualRoot(what, cell) {
  demand(`${what}: no Merkle proof`, cell.isExotic && cell.type === CellType.MerkleProof)
  return cell.refs[0]
}

// Reads a block's header from a proof: block#11ef55aa, block_info#9bc7a987.
function blockHeader(what, cell, id) {
  const root = virtualRoot(what, cell)
  same(`${what}: root hash of block ${id.seqno}`, hex(root.hash(0)), hex(id.rootHash))
  const s = root.beginParse()
  same(`${what}: block tag`, s.loadUint(32), 0x11ef55aa)
  const h = { globalId: s.loadInt(32), root }
  const info = s.loadRef().beginParse()
  same(`${what}: header tag`, info.loadUint(32), 0x9bc7a987)
  info.loadUint(32) // version
  h.notMaster = info.loadBit()
  info.skip(5) // after_merge, before_split, after_split, want_split, want_merge
  h.key = info.loadBit()
  info.skip(9) // vert_seqno_incr, flags
  h.seqno = info.loadUint(32)
  info.skip(32 + 2 + 6) // vert_seq_no, tag and prefix length of the shard
  h.workchain = info.loadInt(32)
  info.skip(64) // shard_prefix
  h.utime = info.loadUint(32)
  h.startLt = info.loadUintBig(64)
  h.endLt = info.loadUintBig(64)
  h.validatorHash = info.loadUint(32)
  h.catchain = info.loadUint(32)
  same(`${what}: number`, h.seqno, id.seqno)
  same(`${what}: workchain`, h.workchain, id.workchain)
  const update = root.refs[2]
  demand(`${what}: state update is none`, update.type === CellType.MerkleUpdate)
  h.state = hex(update.beginParse(true).skip(8 + 256).loadBuffer(32))
  return h
}

// Reads a state from a proof of two roots, header and state.
function provedState(what, boc, id) {
  const roots = Array.isArray(boc) ? boc : Cell.fromBoc(boc)
  same(`${what}: roots`, roots.length, 2)
  const h = blockHeader(what, roots[0], id)
  const root = virtualRoot(what, roots[1])
  same(`${what}: state hash`, hex(root.hash(0)), h.state)
  loadShardStateUnsplit(root.beginParse()) // accepted by the library's own reader too
  return { header: h, root }
}

function skipCurrencies(s) {
  s.loadCoins()
  s.loadMaybeRef()
}

// The values of an augmented dictionary come after their extra.
const augmented = (skipExtra, parse) => ({ serialize: () => { throw new Error('read only') }, parse: (s) => { skipExtra(s); return parse(s) } })

const shardAccounts = augmented((s) => { s.loadUint(5); skipCurrencies(s) },
  (s) => ({ hash: hex(s.loadRef().hash(0)), lastHash: hex(s.loadBuffer(32)), lastLt: s.loadUintBig(64) }))

// Looks an account up in a proved state; undefined when it is absent.
function accountIn(state, hash) {
  const s = state.refs[1].beginParse() // accounts:^ShardAccounts
  return s.loadBit() ? Dictionary.loadDirect(Dictionary.Keys.Buffer(32), shardAccounts, s.loadRef()).get(hash) : undefined
}

const transactions = augmented(skipCurrencies, (s) => hex(s.loadRef().hash(0)))

const accountBlocks = augmented(skipCurrencies, (s) => {
  same('account block: tag', s.loadUint(4), 5)
  const account = hex(s.loadBuffer(32))
  return { account, transactions: Dictionary.loadDirect(Dictionary.Keys.BigUint(64), transactions, s) }
})

// The hash of a transaction in a proof of its block.
function transactionIn(what, proof, id, account, lt) {
  const h = blockHeader(what, Cell.fromBoc(proof)[0], id)
  const s = h.root.refs[3].refs[2].beginParse() // extra, account_blocks
  demand(`${what}: no transactions`, s.loadBit())
  const block = Dictionary.loadDirect(Dictionary.Keys.Buffer(32), accountBlocks, s.loadRef()).get(account)
  return block && block.transactions.get(BigInt(lt))
}

// The basechain block that shard_hashes:ShardHashes registers.
function shardOf(dict) {
  const leaf = dict.get(0).beginParse() // one shard: bt_leaf$0
  demand('shards: more than one', !leaf.loadBit())
  const tag = leaf.loadUint(4)
  demand(`shards: tag ${tag}`, tag === 0xa || tag === 0xb)
  const seqno = leaf.loadUint(32)
  leaf.skip(32 + 64 + 64)
  return { seqno, workchain: 0, rootHash: leaf.loadBuffer(32), fileHash: leaf.loadBuffer(32) }
}

const shardHashes = (s) => s.loadDict(Dictionary.Keys.Int(32), Dictionary.Values.Cell())

// McStateExtra of a proved masterchain state.
function mcExtra(state) {
  const s = state.refs[3].beginParse()
  same('masterchain state: tag', s.loadUint(16), 0xcc26)
  const shards = shardHashes(s)
  s.skip(256)
  return { shards, config: s.loadRef() }
}

const configParam = (config, id) => Dictionary.loadDirect(Dictionary.Keys.Int(32), Dictionary.Values.Cell(), config).get(id)

const sameBlock = (a, b) => a.seqno === b.seqno && a.workchain === b.workchain && hex(a.rootHash) === hex(b.rootHash) && hex(a.fileHash) === hex(b.fileHash)

// --- signatures ---

// The masterchain validators of a configuration: validators_ext#12 with
// descriptions validator_addr#73 or validator#53.
function validators(config) {
  const s = configParam(config, 34).beginParse()
  same('validators: tag', s.loadUint(8), 0x12)
  s.skip(64 + 32)
  s.loadUintBig(64)
  const list = s.loadDict(Dictionary.Keys.Uint(16), { serialize: () => {}, parse: (v) => {
    const tag = v.loadUint(8)
    same('validator: key tag', v.loadUint(32), 0x8e81278a)
    return { key: v.loadBuffer(32), weight: v.loadUintBig(64), adnl: tag === 0x73 ? v.loadBuffer(32) : Buffer.alloc(32) }
  } })
  return list.values()
}

// validator_list_hash_short: CRC-32C over magic, session, count, and each key,
// weight and address, little-endian.
function validatorHash(list, catchain) {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(0x901660ed, 0)
  head.writeUInt32LE(catchain, 4)
  head.writeUInt32LE(list.length, 8)
  const items = list.map((v) => {
    const w = Buffer.alloc(8)
    w.writeBigUInt64LE(v.weight)
    return Buffer.concat([v.key, w, v.adnl])
  })
  return crc32c(Buffer.concat([head, ...items])).readUInt32LE(0)
}

const nodeId = (key) => hex(crypto.createHash('sha256').update(Buffer.from('c6b41348', 'hex')).update(key).digest())

// Checks a link of a block proof that starts at from.
function checkLink(step, from) {
  demand('link: starts elsewhere', sameBlock(step.from, from))
  const dest = blockHeader('link: target', Cell.fromBoc(step.destProof)[0], step.to)
  same('link: key block', dest.key, step.toKeyBlock)
  if (step.kind === 'liteServer.blockLinkBack') {
    const { root } = provedState('link: source', [Cell.fromBoc(step.proof)[0], Cell.fromBoc(step.stateProof)[0]], from)
    const info = root.refs[3].refs.at(-1).beginParse() // ^[ flags validator_info prev_blocks ... ]
    info.skip(16 + 32 + 32 + 1)
    demand('link: no old blocks', info.loadBit())
    const old = Dictionary.loadDirect(Dictionary.Keys.Uint(32), augmented((s) => s.skip(65), (s) => {
      s.skip(1 + 64)
      return { seqno: s.loadUint(32), workchain: -1, rootHash: s.loadBuffer(32), fileHash: s.loadBuffer(32) }
    }), info.loadRef())
    demand('link: not among the old blocks', sameBlock(old.get(step.to.seqno), step.to))
    same('link: zerostate', old.get(0) && old.get(0).seqno, 0) // which C++ clients look up
    return 0
  }
  const source = blockHeader('link: source', Cell.fromBoc(step.configProof)[0], from)
  const extra = source.root.refs[3].refs[3].beginParse() // McBlockExtra
  same('link: tag of the key block', extra.loadUint(16), 0xcca5)
  demand('link: source is no key block', extra.loadBit())
  const list = validators(source.root.refs[3].refs[3].refs.at(-1))
  const set = step.signatures
  same('link: validator hash of the block', dest.validatorHash, validatorHash(list, dest.catchain))
  same('link: validator hash of the signatures', set.validatorSetHash >>> 0, dest.validatorHash)
  const signed = Buffer.concat([Buffer.from('706e0bc5', 'hex'), step.to.rootHash, step.to.fileHash])
  const byId = new Map(list.map((v) => [nodeId(v.key), v]))
  const seen = new Set()
  let weight = 0n
  for (const sig of set.signatures) {
    const v = byId.get(hex(sig.nodeIdShort))
    demand('link: signature of a stranger', v && !seen.has(v))
    seen.add(v)
    demand('link: bad signature', signVerify(signed, sig.signature, v.key))
    weight += v.weight
  }
  demand('link: too few signatures', 3n * weight > 2n * list.reduce((a, v) => a + v.weight, 0n))
  return set.signatures.length
}

// --- use ---

const line = (input) => new Promise((resolve, reject) => {
  input.once('line', resolve)
  input.once('close', () => reject(new Error('nobody waits for the answer')))
})

async function until(what, f) {
  for (let i = 0; i < 300; i++) {
    const v = await f()
    if (v) return v
    await new Promise((r) => setTimeout(r, 100))
  }
  throw new Error(`${what}: not seen`)
}

const idOf = (b) => ({ kind: 'tonNode.blockIdExt', workchain: b.workchain, shard: MASTERCHAIN_SHARD, seqno: b.seqno, rootHash: b.rootHash, fileHash: b.fileHash })

// Deploys the wallet with its first payment, and makes the others.
async function pay(client, wallet, key, to) {
  const w = client.open(wallet)
  for (let n = 0; n < PAYMENTS; n++) {
    await w.sendTransfer({
      seqno: n,
      secretKey: key.secretKey,
      sendMode: SendMode.PAY_GAS_SEPARATELY,
      messages: [internal({ to, value: 1_000_000_000n + BigInt(n), bounce: false, body: `payment ${n}` })],
    })
    await until(`payment ${n}`, async () => {
      const last = (await client.getMasterchainInfo()).last
      const a = await client.getAccountState(wallet.address, last)
      return a.state && a.state.storage.state.type === 'active' && (await w.getSeqno()) === n + 1
    })
  }
}

async function checkAccount(client, last, address) {
  const what = `account ${address.toRawString()}`
  const a = await client.getAccountStateRaw(address, last) // not from its cache
  demand(`${what}: about another block`, sameBlock(a.block, last))
  const { root: mc } = provedState(`${what}: shard`, a.shardProof, last)
  demand(`${what}: another shard block`, sameBlock(shardOf(mcExtra(mc).shards), a.shardBlock))
  const { root } = provedState(what, a.proof, a.shardBlock)
  const found = accountIn(root, address.hash)
  if (!found) {
    same(`${what}: state though absent`, a.raw.length, 0)
    return { exists: false }
  }
  const cell = Cell.fromBoc(a.raw)[0]
  same(`${what}: hash`, hex(cell.hash()), found.hash)
  same(`${what}: address`, a.state.addr.toRawString(), address.toRawString())
  same(`${what}: last transaction`, a.lastTx.lt, found.lastLt)
  const pruned = await client.getAccountStatePrunned(address, last)
  const part = virtualRoot(`${what}: pruned`, Cell.fromBoc(pruned.raw)[0])
  same(`${what}: pruned hash`, hex(part.hash(0)), found.hash)
  const st = a.state.storage.state
  return {
    exists: true, balance: String(a.balance.coins), last_lt: String(found.lastLt), last_hash: found.lastHash,
    code: st.type === 'active' ? hex(st.state.code.hash()) : '', data: st.type === 'active' ? hex(st.state.data.hash()) : '', state: st,
  }
}

// Follows the hashes of transactions back, and proves each in its block.
async function checkTransactions(client, last, address, lt, hash) {
  const out = []
  while (BigInt(lt) !== 0n) {
    const page = await client.getAccountTransactions(address, String(lt), Buffer.from(hash, 'hex'), 16)
    const cells = Cell.fromBoc(page.transactions)
    same('transactions: blocks', page.ids.length, cells.length)
    demand('transactions: none', cells.length > 0)
    for (let i = 0; i < cells.length; i++) {
      same('transaction: hash', hex(cells[i].hash()), hash)
      const tx = loadTransaction(cells[i].beginParse())
      same('transaction: lt', tx.lt, lt)
      const one = await client.getAccountTransaction(address, String(tx.lt), page.ids[i])
      demand('one transaction: another block', sameBlock(one.id, page.ids[i]))
      same('one transaction: hash', hex(Cell.fromBoc(one.transaction)[0].hash()), hash)
      same('one transaction: proof', transactionIn('one transaction', one.proof, one.id, address.hash, tx.lt), hash)
      out.push({ lt: String(tx.lt), hash, block: page.ids[i].seqno, out: tx.outMessagesCount, fees: String(tx.totalFees.coins) })
      lt = tx.prevTransactionLt
      hash = tx.prevTransactionHash.toString(16).padStart(64, '0')
    }
  }
  return out
}

// Whole blocks: the file hash is that of the bytes, the root hash that of the
// cells as @ton/core reads them. Headers by number, logical time and Unix time.
async function checkBlocks(client, last) {
  const out = []
  for (let seqno = last.seqno; seqno > last.seqno - 5; seqno--) {
    const found = await client.lookupBlockByID({ workchain: -1, shard: MASTERCHAIN_SHARD, seqno })
    const h = blockHeader('header', Cell.fromBoc(found.headerProof)[0], found.id)
    const again = await client.getBlockHeader(found.id)
    blockHeader('header again', Cell.fromBoc(again.headerProof)[0], found.id)
    const byLt = await client.lookupBlockByLt({ workchain: -1, shard: MASTERCHAIN_SHARD, lt: h.startLt })
    demand('lookup by logical time', sameBlock(byLt.id, found.id))
    const byTime = await client.lookupBlockByUtime({ workchain: -1, shard: MASTERCHAIN_SHARD, utime: h.utime })
    demand('lookup by time', byTime.id.seqno <= seqno && blockHeader('by time', Cell.fromBoc(byTime.headerProof)[0], byTime.id).utime >= h.utime)
    const shards = await client.getAllShardsInfo(found.id)
    const proved = blockHeader('shards', Cell.fromBoc(shards.proof)[0], found.id)
    const extra = proved.root.refs[3].refs[3].beginParse()
    same('shards: tag', extra.loadUint(16), 0xcca5)
    extra.skip(1)
    same('shards: dictionary', hex(extra.loadRef().hash(0)), hex(Cell.fromBoc(shards.raw)[0].refs[0].hash()))
    const shard = shardOf(shardHashes(Cell.fromBoc(shards.raw)[0].beginParse()))
    same('shards: number', shards.shards['0'][MASTERCHAIN_SHARD], shard.seqno)
    const one = await client.engine.query(Functions.liteServer_getShardInfo, { kind: 'liteServer.getShardInfo', id: idOf(found.id), workchain: 0, shard: MASTERCHAIN_SHARD, exact: true })
    demand('shard: another block', sameBlock(one.shardblk, shard))
    demand('shard: not proved', sameBlock(shardOf(mcExtra(provedState('shard', one.shardProof, found.id).root).shards), shard))
    const way = await client.engine.query(Functions.liteServer_getShardBlockProof, { kind: 'liteServer.getShardBlockProof', id: idOf(one.shardblk) })
    demand('shard proof: not one link to the block', way.links.length === 1 && sameBlock(way.links[0].id, one.shardblk))
    const registers = blockHeader('shard proof', Cell.fromBoc(way.links[0].proof)[0], way.masterchainId).root.refs[3].refs[3].beginParse().skip(17)
    demand('shard proof: another block', sameBlock(shardOf(shardHashes(registers)), one.shardblk))
    for (const id of [found.id, one.shardblk]) {
      const b = await client.engine.query(Functions.liteServer_getBlock, { kind: 'liteServer.getBlock', id: idOf(id) })
      same('block: file hash', hex(crypto.createHash('sha256').update(b.data).digest()), hex(id.fileHash))
      const root = Cell.fromBoc(b.data)[0]
      same('block: root hash', hex(root.hash()), hex(id.rootHash))
      const s = await client.engine.query(Functions.liteServer_getState, { kind: 'liteServer.getState', id: idOf(id) })
      const state = Cell.fromBoc(s.data)[0]
      same('state: hash', hex(state.hash()), hex(root.refs[2].beginParse(true).skip(8 + 256).loadBuffer(32)))
      loadShardStateUnsplit(state.beginParse())
      const txs = await client.listBlockTransactions(id, { count: 256 })
      same('transactions of the block: incomplete', txs.incomplete, false)
      out.push({ workchain: id.workchain, seqno: id.seqno, root: hex(id.rootHash), file: hex(id.fileHash), transactions: txs.ids.map((t) => hex(t.hash)) })
    }
  }
  const full = await client.getFullBlock(last.seqno)
  demand('full block: no shard', full.shards.some((s) => s.workchain === 0))
  return out
}

// Follows links from a block to another and counts signatures.
async function checkWay(client, from, to) {
  let at = from
  let signatures = 0
  let links = 0
  while (!sameBlock(at, to)) {
    const p = await client.engine.query(Functions.liteServer_getBlockProof, { kind: 'liteServer.getBlockProof', mode: 1, knownBlock: idOf(at), targetBlock: idOf(to) })
    demand('way: no step', p.steps.length > 0)
    for (const step of p.steps) {
      signatures += checkLink(step, at)
      at = step.to
      links++
    }
    same('way: complete', p.complete, sameBlock(at, to))
  }
  return { links, signatures }
}

async function checkConfig(client, last) {
  const all = await client.engine.query(Functions.liteServer_getConfigAll, { kind: 'liteServer.getConfigAll', mode: 0, id: idOf(last) })
  const { root } = provedState('configuration', [Cell.fromBoc(all.stateProof)[0], Cell.fromBoc(all.configProof)[0]], last)
  const some = await client.engine.query(Functions.liteServer_getConfigParams, { kind: 'liteServer.getConfigParams', mode: 0, id: idOf(last), paramList: [8, 19, 34] })
  const part = provedState('parameters', [Cell.fromBoc(some.stateProof)[0], Cell.fromBoc(some.configProof)[0]], last).root
  const config = mcExtra(root).config
  for (const id of [8, 19, 34]) same(`parameter ${id}`, hex(configParam(mcExtra(part).config, id).hash()), hex(configParam(config, id).hash()))
  await client.getConfig(last)
  return config
}

// The configuration that a key block holds, from that block's own proof.
async function checkKeyConfig(client, last) {
  const r = await client.engine.query(Functions.liteServer_getConfigAll, { kind: 'liteServer.getConfigAll', mode: 0x8000, id: idOf(last) })
  same('configuration of the key block: state proof', r.stateProof.length, 0)
  const h = blockHeader('configuration of the key block', Cell.fromBoc(r.configProof)[0], r.id)
  demand('configuration of the key block: no key block', h.key)
  return { seqno: r.id.seqno, config: hex(h.root.refs[3].refs[3].refs.at(-1).hash(0)) }
}

// Executes a get-method in the official emulator on proved code, data and
// configuration; the liteserver's word must be the same.
async function checkMethod(client, last, address, account, config, utime) {
  const remote = await client.runMethod(address, 'seqno', serializeTuple([]).toBoc(), last)
  same('get-method: exit code', remote.exitCode, 0)
  const executor = await Executor.create()
  const { output } = await executor.runGetMethod({
    code: account.state.state.code, data: account.state.state.data, methodId: getMethodId('seqno'), stack: new TupleBuilder().build(),
    config: config.toBoc().toString('base64'), verbosity: 'short', address, unixTime: utime, balance: BigInt(account.balance), randomSeed: Buffer.alloc(32),
    gasLimit: 1000000n, debugEnabled: false,
  })
  demand(`get-method: ${output.error}`, output.success)
  const value = (b64) => parseTuple(Cell.fromBase64(b64))[0].value
  same('get-method: result', value(remote.result), value(output.stack))
  return String(value(output.stack))
}

async function refuses(what, promise) {
  try {
    await promise
  } catch (e) {
    return e.message
  }
  throw new Error(`${what}: answered`)
}

async function main() {
  const [dir] = process.argv.slice(2)
  if (!dir) throw new Error('usage: node liteclient.js DIR')
  // the number of a shard does not fit a JavaScript number
  const text = fs.readFileSync(path.join(dir, 'global.json'), 'utf8').replace(/("shard":\s*)(-?\d+)/g, '$1"$2"')
  const config = JSON.parse(text)
  const given = JSON.parse(fs.readFileSync(path.join(dir, 'wallet.json'), 'utf8'))
  const engines = config.liteservers.map((l) => new LiteSingleEngine({
    host: `tcp://${[24, 16, 8, 0].map((n) => (l.ip >>> n) & 255).join('.')}:${l.port}`, publicKey: Buffer.from(l.id.key, 'base64'),
  }))
  const engine = new LiteRoundRobinEngine(engines)
  const client = new LiteClient({ engine })
  await until('connection', async () => engines.every((e) => e.isReady()))
  const one = new LiteClient({ engine: engines[0] }) // the other engine asks again when it is refused
  const input = readline.createInterface({ input: process.stdin })
  try {
    const init = config.validator.init_block
    const trusted = { workchain: -1, seqno: init.seqno, rootHash: Buffer.from(init.root_hash, 'base64'), fileHash: Buffer.from(init.file_hash, 'base64') }
    const key = keyPairFromSeed(Buffer.from(given.seed, 'hex'))
    const wallet = WalletContractV5R1.create({ publicKey: key.publicKey, walletId: { networkGlobalId: given.chain_id } })
    same('address of the wallet', wallet.address.toRawString(), given.address)
    const to = Address.parse(given.receiver)
    await pay(client, wallet, key, to)
    console.log(JSON.stringify({ sent: PAYMENTS }))
    await line(input)

    const last = (await client.getMasterchainInfo()).last
    const info = await client.getMasterchainInfoExt()
    demand('two heads of a chain at rest', sameBlock(info.last, last))
    const zero = config.validator.zero_state
    same('zerostate', hex(info.init.rootHash), hex(Buffer.from(zero.root_hash, 'base64')))
    const way = await checkWay(client, trusted, last)
    const back = await client.lookupBlockByID({ workchain: -1, shard: MASTERCHAIN_SHARD, seqno: 50 })
    await checkWay(client, last, back.id)
    const params = await checkConfig(client, last)
    const account = await checkAccount(client, last, wallet.address)
    const result = {
      head: { seqno: last.seqno, root: hex(last.rootHash), file: hex(last.fileHash) },
      time: await client.getCurrentTime(), version: (await client.getVersion()).version, way,
      config: hex(params.hash()), key_block: await checkKeyConfig(client, last),
      account, receiver: await checkAccount(client, last, to), absent: await checkAccount(client, last, new Address(0, Buffer.alloc(32, 0xee))),
      transactions: await checkTransactions(client, last, wallet.address, account.last_lt, account.last_hash),
      blocks: await checkBlocks(client, last),
      seqno: await checkMethod(client, last, wallet.address, account, params, info.lastUtime),
      libraries: (await client.getLibraries([Buffer.alloc(32)])).result.length,
      unknown_block: await refuses('a block that does not exist', one.lookupBlockByID({ workchain: -1, shard: MASTERCHAIN_SHARD, seqno: 2_000_000 })),
      replay: await refuses('a message again', one.open(wallet).sendTransfer({ seqno: 0, secretKey: key.secretKey, sendMode: SendMode.PAY_GAS_SEPARATELY, messages: [internal({ to, value: 1n, bounce: false })] })),
    }
    for (const a of [result.account, result.receiver]) delete a.state
    console.log(JSON.stringify(result))
  } finally {
    engine.close()
    input.close()
  }
}

main().then(() => process.exit(0), (e) => {
  console.error(e.message)
  process.exit(1)
})
