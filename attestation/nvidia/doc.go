// Package nvidia verifies the attestation reports of NVIDIA's confidential GPUs
// (Hopper, Blackwell) and of the NVSwitch LS10, with the standard library and
// golang.org/x/crypto/ocsp alone. docs/spec/nvidia.md lists every check in order.
//
//	SPDM report -> device key (ECDSA P-384) -> 4 certificates -> NVIDIA Device Identity CA
//	RIM document (XML signature) -> signer -> 2 certificates -> NVIDIA CoRIM signing Root CA
//	measurements of the report == golden values of the driver's and the VBIOS's RIM
//
// Use [Verify] for one report, [Verifier] for many: it keeps verified chains and
// RIMs by digest, so that a report of a known GPU costs one P-384 verification.
// [CheckTopology] says whether GPUs and switches of one machine belong together.
// [VerifyNRAS] reads the tokens of NVIDIA's remote service instead. Parse
// functions check shape only; nothing they return may be trusted.
//
// Implemented documents: DMTF DSP0274 (SPDM) 1.1, sections 10.11 and 15; TCG DICE
// Attestation Architecture 1.1, section 6.1; TCG PC Client RIM 1.0; W3C XML
// Signature 1.1 with Canonical XML 1.1; RFC 6960. NVIDIA documents the opaque
// data only by its Apache-2.0 verifiers (nvtrust, attestation-sdk).
//
// Everything is a pure function of its arguments. Endorsements and the time come
// from the caller. NVIDIA's two roots are built in; another root is accepted only
// when the caller names its SHA-256 in [Options.SimulatedRoots], and the facts
// then say so. Revocation is checked unless the caller opts out by name.
//
// What is not decided here: whether measurements that differ, a mode or a version
// are acceptable. That is for the caller's policy. And what no report can say:
// that the GPU is attached to the machine that shows its report. The request
// nonce, measured guest code and the driver's SPDM session carry that.
package nvidia
