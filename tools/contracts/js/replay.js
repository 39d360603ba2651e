// Replays traces of the Go tests in the official emulator: node replay.js DIR
// DIR holds config.boc and world-*.jsonl, as package tvmtest writes them. Every
// transaction must come out the same: its hash covers gas, fees, the state's
// hash, actions and outgoing messages. p256-*.jsonl holds questions to the P-256
// construction; answers and gas must be the same. Needs no network.
'use strict'
const fs = require('fs')
const path = require('path')
const { Address, Cell, TupleBuilder, beginCell, getMethodId, loadTransaction, parseTuple } = require('@ton/core')
const { Executor } = require('@ton/sandbox')

const MASTERCHAIN_SHARD = 1n << 63n

// A shard account that holds account_none$0, without a last transaction.
const NOBODY = beginCell().storeRef(beginCell().storeBit(0)).storeUint(0, 256).storeUint(0, 64).endCell().toBoc().toString('base64')

const hash64 = (b64) => Cell.fromBase64(b64).hash().toString('hex')

// The blocks that contracts can name, in the form that tvmtest gives them.
function prevBlocks(blocks) {
  const id = (b) => ({
    workchain: -1,
    shard: MASTERCHAIN_SHARD,
    seqno: b.seqno,
    rootHash: Buffer.from(b.root, 'hex'),
    fileHash: Buffer.from(b.root, 'hex'),
  })
  const ids = blocks.map(id)
  return { lastMcBlocks: [ids[0]], prevKeyBlock: ids[0], lastMcBlocks100: ids }
}

// Says how a transaction differs from the recorded one.
function difference(step, r) {
  if (r.success !== step.accepted) {
    return `accepted ${r.success}, recorded ${step.accepted}${r.success ? '' : ': ' + r.error}`
  }
  if (!r.success) {
    const exit = r.vmResults ? r.vmResults.vmExitCode : undefined
    return exit === step.exit ? null : `exit code ${exit}, recorded ${step.exit}`
  }
  const tx = Cell.fromBase64(r.transaction)
  if (tx.hash().toString('hex') === step.transaction) return null
  const parsed = loadTransaction(tx.beginParse())
  const d = parsed.description
  const c = d.computePhase
  const vm = c && c.type === 'vm'
  return `gas ${vm ? c.gasUsed : 'none'}, recorded ${step.gas}; exit code ${vm ? c.exitCode : 'none'}, recorded ${step.exit}; ` +
    `action result ${d.actionPhase ? d.actionPhase.resultCode : 'none'}; ${parsed.outMessagesCount} messages; fees ${parsed.totalFees.coins}; ` +
    `transaction ${tx.hash().toString('hex')}, recorded ${step.transaction}; ` +
    `state ${hash64(r.shardAccount)}, recorded ${step.state}`
}

async function replay(executor, config, file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const { test } = JSON.parse(lines[0])
  const accounts = new Map()
  let info
  for (let i = 1; i < lines.length; i++) {
    const step = JSON.parse(lines[i])
    if (step.blocks) info = prevBlocks(step.blocks)
    const before = accounts.get(step.account) ?? NOBODY
    const { result } = await executor.runTransaction({
      config,
      libs: null,
      verbosity: 'short',
      shardAccount: before,
      message: Cell.fromBase64(step.message),
      now: step.now,
      lt: BigInt(step.lt),
      randomSeed: Buffer.alloc(32),
      ignoreChksig: false,
      debugEnabled: false,
      prevBlocksInfo: info,
    })
    const why = difference(step, result)
    if (why) throw new Error(`${test}, transaction ${i} of ${step.account}: ${why}`)
    if (result.success) accounts.set(step.account, result.shardAccount)
  }
  return lines.length - 1
}

// Asks the test contract around p256.tolk; see harness.tolk.
async function replayP256(executor, config, file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const code = Cell.fromBase64(JSON.parse(lines[0]).code)
  for (let i = 0; i < lines.length; i++) {
    const q = JSON.parse(lines[i])
    const stack = new TupleBuilder()
    for (const n of [q.z, q.qx, q.qy]) stack.writeNumber(BigInt(n))
    stack.writeCell(Cell.fromBase64(q.signature))
    const { output } = await executor.runGetMethod({
      code,
      data: Cell.EMPTY,
      methodId: getMethodId('p256'),
      stack: stack.build(),
      config,
      verbosity: 'short',
      address: new Address(0, Buffer.alloc(32)),
      unixTime: 0,
      balance: 0n,
      randomSeed: Buffer.alloc(32),
      gasLimit: 1000000n,
      debugEnabled: false,
    })
    const got = output.success ? parseTuple(Cell.fromBase64(output.stack)) : []
    const answer = got.length === 1 && got[0].type === 'int' ? got[0].value !== 0n : undefined
    if (answer !== q.accepted || output.gas_used !== String(q.gas)) {
      throw new Error(`${path.basename(file)}, question ${i + 1}: accepted ${answer}, recorded ${q.accepted}; ` +
        `gas ${output.gas_used}, recorded ${q.gas}; exit code ${output.vm_exit_code}`)
    }
  }
  return lines.length
}

async function main() {
  const [dir] = process.argv.slice(2)
  if (!dir) throw new Error('usage: node replay.js DIR')
  const config = Cell.fromBoc(fs.readFileSync(path.join(dir, 'config.boc')))[0].toBoc().toString('base64')
  const executor = await Executor.create()
  let failed = 0
  const all = async (prefix, one) => {
    const files = fs.readdirSync(dir).filter((f) => f.startsWith(prefix)).sort()
    let count = 0
    for (const f of files) {
      try {
        count += await one(executor, config, path.join(dir, f))
      } catch (e) {
        console.error(e.message)
        if (++failed === 10) throw new Error('too many differences')
      }
    }
    return [count, files.length]
  }
  const [questions] = await all('p256-', replayP256)
  const [transactions, worlds] = await all('world-', replay)
  if (failed > 0) throw new Error(`${failed} traces differ`)
  if (transactions === 0 || questions === 0) throw new Error('no traces in ' + dir)
  console.log(`${transactions} transactions of ${worlds} worlds and ${questions} P-256 signatures`)
}

main().catch((e) => {
  console.error(e.message)
  process.exit(1)
})
