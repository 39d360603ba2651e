// Compiles contracts of a folder: node build.js SRC OUT NAME...
// Writes OUT/NAME.boc and OUT/NAME.json (compiler, code cell hash, digests of
// the sources that went in, in order). Needs no network.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const path = require('path')
const { runTolkCompiler } = require('@ton/tolk-js')

const sha256 = (b) => crypto.createHash('sha256').update(b).digest('hex')

async function main() {
  const [src, out, ...names] = process.argv.slice(2)
  if (names.length === 0) throw new Error('usage: node build.js SRC OUT NAME...')
  for (const name of names) {
    const r = await runTolkCompiler({
      entrypointFileName: name + '.tolk',
      fsReadCallback: (p) => fs.readFileSync(path.join(src, p), 'utf8'),
    })
    if (r.status === 'error') throw new Error(name + ': ' + r.message)
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
