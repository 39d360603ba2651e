// Compiles contracts of a folder: node build.js SRC OUT NAME...
// Writes OUT/NAME.boc and OUT/NAME.json (compiler, code cell hash, digests of
// the sources that went in, in order), and OUT/platform_code.tolk, which tells
// Node the code of Platform. Needs no network.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const { Cell } = require('@ton/core')
const { runTolkCompiler } = require('@ton/tolk-js')

const sha256 = (b) => crypto.createHash('sha256').update(b).digest('hex')

const platformFile = 'platform_code.tolk'

/// What Node knows of Platform.
function platformCode(boc) {
  const code = Cell.fromBoc(boc)[0]
  return `// Code generated from platform.tolk by make contracts; DO NOT EDIT.

/// Code of Platform. Node recomputes the address of its Platform from it.
const PLATFORM_CODE_HASH = 0x${code.hash().toString('hex')}
const PLATFORM_CODE_DEPTH = ${code.depth()}
`
}

async function main() {
  const [src, out, ...names] = process.argv.slice(2)
  if (names.length === 0) throw new Error('usage: node build.js SRC OUT NAME...')
  const made = {} // sources that are made from other sources
  const compile = async (name) => {
    const r = await runTolkCompiler({
      entrypointFileName: name + '.tolk',
      fsReadCallback: (p) => made[path.basename(p)] || fs.readFileSync(path.join(src, p), 'utf8'),
    })
    if (r.status === 'error') throw new Error(name + ': ' + r.message)
    return r
  }
  made[platformFile] = platformCode(Buffer.from((await compile('platform')).codeBoc64, 'base64'))
  fs.writeFileSync(path.join(out, platformFile), made[platformFile])
  for (const name of names) {
    const r = await compile(name)
    if (r.stderr) process.stderr.write(r.stderr)
    const boc = Buffer.from(r.codeBoc64, 'base64')
    const manifest = {
      contract: name,
      compiler: '@ton/tolk-js ' + r.tolkVersion,
      codeHash: r.codeHashHex.toLowerCase(),
      sources: r.sourcesSnapshot
        .filter((s) => !s.filename.startsWith('@stdlib'))
        .map((s) => ({ file: path.basename(s.filename), sha256: sha256(s.contents) }))
        .sort((a, b) => (a.file < b.file ? -1 : 1)),
    }
    fs.writeFileSync(path.join(out, name + '.boc'), boc)
    fs.writeFileSync(path.join(out, name + '.json'), JSON.stringify(manifest, null, 2) + '\n')
  }
}

main().catch((e) => {
  console.error(e.message)
  process.exit(1)
})
