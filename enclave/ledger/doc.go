// Package ledger keeps the log of one node on disk: the heads of its receipts,
// each with its signature, in the order of their indexes (docs/spec/log.md).
//
// The disk belongs to the host and is not trusted. What the enclave believes is
// the chain: [Open] compares the stored leaves with the anchored root, and checks
// the signature of every leaf after it. A directory that is older than the
// anchor, or holds leaves nobody signed, is refused. While the ledger is open,
// everything read back is compared with hashes in memory, which take about a
// bit per leaf and byte.
//
// A receipt leaves [Ledger.Append] only when its leaf is durable: written and
// synced. Appends that run at the same time share one sync. After a failed
// write or sync nothing is known about the disk, so the ledger refuses further
// appends; the enclave must boot again, as a new epoch.
//
// No index is signed twice under one key as long as every boot, that is every
// call of Open, has its own epoch and keys. The contract on TON gives out epochs
// by compare-and-swap; Open also refuses a directory that already holds leaves
// of its epoch or a later one.
//
// Bodies of receipts, and with them token counts and commitments, are not
// stored: the host would see them.
package ledger
