// Package chain reads and writes a TON chain without trusting any server.
//
// Reading: [Dial] connects to the liteservers of a TON global config and
// returns a [Client], which implements [Reader]. Everything a Client returns is
// proved from the trusted block of the config: validator signatures lead to the
// masterchain head, Merkle proofs lead from there to accounts, transactions and
// configuration. Get-methods are executed here, on proved state
// ([Account.RunGetMethod]); what a liteserver says they return is never asked.
// [VerifyAccountProof] checks the proof of an account later, from bytes alone,
// without a network. docs/spec/light-client.md specifies the checks.
//
// Writing: [Writer] sends from a V5R1 wallet, exactly once for each payment id,
// whatever times out or crashes in between. [Client.SendExternal] sends a
// message straight to a contract.
//
// A liteserver is not trusted. The worst that one can do is not to answer: an
// answer whose proof does not verify is a [LyingServerError], the next server is
// asked, and only when none gives a good answer the call fails, in the family
// "could not find out". Trusted are: the block given in the config, more than
// two thirds of the validators (by weight) of each set since then, and this
// machine's clock, to a minute, for the age of the head.
//
// This package is the only one that touches tonutils-go's network client. Its
// defaults are not used: their proofs do not cover get-methods, take an
// unproved absence of an account for proved, and trust the head.
//
// A dev chain (package chain/devnet) is spoken to like any other TON.
package chain
