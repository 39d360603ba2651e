// Package eventlog reads the logs in which firmware and boot loaders say what
// they measured, and replays them into registers: the TPM's PCRs and TDX's
// RTMRs.
//
// Implemented documents: "TCG PC Client Platform Firmware Profile
// Specification" (PFP) 1.06, chapter 10 (crypto-agile log, "TCG2"); "UEFI
// Specification" 2.10, section 38.4 (CCEL, the same format with measurement
// registers in place of PCRs). docs/spec/eventlog.md is the manual.
//
// A log is text from an untrusted host. It becomes evidence by [Log.PCRs] or
// [Log.RTMRs]: when the replayed registers equal the ones in a verified quote,
// the digests of the log are the measured ones, in order. Event data is another
// matter: only for some types is the digest that of the data. [Event.Data] says
// which, and [Log.Components] passes no text on that the digest does not cover.
//
// Nothing is trusted because of its place in the log. Compare digests with the
// expected ones.
package eventlog
