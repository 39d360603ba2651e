// Package tpm verifies quotes of TPM 2.0 with the standard library alone: it
// parses quotes, signatures and attestation keys, checks who certified the key,
// and returns the PCRs that the quote proves.
//
// Implemented documents: "Trusted Platform Module Library" 1.59 (TPM2), part 1
// sections 16 and 27, part 2 sections 8 to 12 (structures), part 3 section 18.4
// (TPM2_Quote); "TCG Algorithm Registry" 1.32; Microsoft's report of a
// confidential VM's virtual TPM ("HCL report", as OpenHCL writes it).
// docs/spec/tpm.md lists every check in order.
//
//	PCRs -> quote -> attestation key (AK) -> one of
//	    HCL report -> report data of a verified SEV-SNP report or TDX quote
//	    AK certificate -> certificates -> root that the caller names
//	    the caller's own list of development keys (never for production)
//
// Use [Verify]. The Parse functions check shape only; nothing that they return
// may be trusted.
//
// Everything is a pure function of its arguments. No root is built in: makers of
// TPMs are many, and a certificate of theirs says that a TPM is genuine, not that
// the machine is confidential. Only an HCL report says that, and only with the
// report data of hardware evidence that the caller has verified itself
// ([Hardware]). A TPM that the host may control is marked [Facts.Development].
//
// What is not decided here: whether PCR values, a bank, a firmware version or a
// configuration are acceptable, and whether the quote is fresh; compare with
// [Facts.CheckExtraData]. Event logs are replayed by package eventlog.
//
// Errors belong to the families of package fault and wrap a [*StepError] that
// says at which step the verification ended. There is no state and no cache:
// functions are safe for concurrent use, results are the caller's.
package tpm
