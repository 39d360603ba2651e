// Package chain holds the chain scenario: one wallet deploys a registry of its
// own with a simulated CA, registers a node by a TDX quote that the contract
// verifies, anchors its log, reads everything with proofs, pays through a channel,
// answers a challenge, and takes back what can be taken back.
//
// It runs against a dev chain in the same process, or against any TON network
// that these name:
//
//	COCOON_TON_CONFIG=global.json COCOON_TON_SEED=wallet.seed go test -v -run TestScenario ./test/chain
//
// The config is a TON global config whose trusted block is less than 30 days old,
// the seed that of a V5R1 wallet (24 words or 64 hex digits) with at least one
// coin. About a third of a coin goes in fees, 0.16 stay in contracts; the log of
// the test says where. Nothing in it controls a clock, makes blocks or asks a
// faucet. Its registry lists a simulated CA that it throws away, so no client has
// a reason to trust what registers there.
//
// It holds no code but tests.
package chain
