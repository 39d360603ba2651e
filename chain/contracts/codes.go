// Code generated from errors.tolk by go test -update; DO NOT EDIT.

package contracts

// Exit codes of the contracts; see [ErrorName].
const (
	CodeValueTooLow       = 100 // the message carries less than the path can cost
	CodeWrongSender       = 101 // the sender's address is not the one recomputed
	CodeWrongChain        = 102 // chain id differs from this chain's
	CodeBadSignature      = 103 // an Ed25519 signature does not hold
	CodeBadFormat         = 104 // a cell has the wrong length, tag or trailing data
	CodeExpired           = 105 // a time limit in the message has passed
	CodeTooEarly          = 106 // a delay is not over yet
	CodeBalance           = 107 // would eat into stake, bonds, credits or the storage reserve
	CodeBadApprovals      = 110 // approvals are not in ascending order, or name no member
	CodeTooFewApprovals   = 111
	CodeProposalNumber    = 112 // not the next number, or no such proposal
	CodeBadAction         = 113 // unknown action, or parameters out of their bounds
	CodeNotFound          = 114 // the entry to change does not exist
	CodePaused            = 120 // registration is paused
	CodeMeasurement       = 121 // measurement is not listed
	CodeVerifierSet       = 122 // not the current verifier set
	CodeFloor             = 123 // no TCB floor is listed for this FMSPC
	CodeCAKey             = 124 // Intel CA key is not listed
	CodeStake             = 125 // stake is below the minimum
	CodeKind              = 126 // unknown evidence kind, or wrong kind for this mode
	CodeListFull          = 127 // no room for another node
	CodeRevoked           = 128 // the platform is revoked
	CodeNotOperator       = 200 // only the operator may send this
	CodePending           = 201 // another registration is still being confirmed
	CodeEpoch             = 202 // not the epoch expected: compare-and-swap failed
	CodeWrongNode         = 203 // the head names another node
	CodeStaleBlock        = 204 // block is not among PREVMCBLOCKS_100
	CodeBadKeys           = 205 // a key is zero, or used twice
	CodeRefused           = 206 // Root or the Platform did not take the question
	CodeNotRegistered     = 207 // no epoch is registered
	CodeNotLarger         = 208 // the anchor does not grow the log
	CodeInterval          = 209 // minimum anchor interval has not passed
	CodeNoCredit          = 210 // no credit for this address
	CodeLive              = 211 // the stake still backs a registration
	CodeNotAFault         = 213 // the evidence proves nothing
	CodeSettled           = 214 // this fault was already settled
	CodeNoStake           = 218 // nothing is left to lose
	CodeNotPending        = 219 // answer to a registration that is not pending
	CodeReportData        = 221 // the quote does not carry the claims digest
	CodeConfiguration     = 222 // MRCONFIGID, MROWNER, MROWNERCONFIG or MRSERVICETD is not zero
	CodeQuoteCertificate  = 301 // the PCK certificate is not of the one accepted form
	CodeQuotePCKSignature = 302 // not signed by the CA key
	CodeQuotePCKNotYet    = 303 // the PCK certificate is not valid yet
	CodeQuotePCKExpired   = 304
	CodeQuoteQESignature  = 305 // the QE report is not signed by the PCK
	CodeQuoteQEIdentity   = 306 // MISCSELECT, ATTRIBUTES or ISVPRODID are not those of Intel's TD QE
	CodeQuoteKey          = 307 // the QE report does not name the attestation key
	CodeQuoteVersion      = 308 // not a TDX quote of version 4 or 5 by Intel's QE, or an unknown body type
	CodeQuoteTDSignature  = 309 // header and TD report are not signed by the attestation key
	CodeQuoteSEAM         = 310 // the TDX module is not Intel's, or runs with attributes
	CodeQuoteDebug        = 311 // the TD can be debugged by the host
	CodeQuoteCPUSVN       = 320 // below the floor
	CodeQuotePCESVN       = 321
	CodeQuoteTEESVN       = 322
	CodeQuoteModule       = 323 // version of the TDX module is below the floor, or the module is unknown
	CodeQuoteQESVN        = 324
	CodeQuoteQESigner     = 325 // not the QE's MRSIGNER that the floor names
	CodeQuoteTDAttributes = 326
	CodeQuoteXFAM         = 327
	CodeNotWelcomed       = 400 // Root has not answered this platform yet: renew it
	CodeNoSlot            = 401 // every slot is held by another node
	CodeNotOfRoot         = 402 // Root does not know this platform: other code, or no platforms in this generation
	CodeClosed            = 500 // the channel is closed for ever
	CodeClosing           = 501 // the channel is being closed already
	CodeNotClosing        = 502 // nobody asked to close the channel
	CodeNotPayee          = 503 // only the payout address may send this
	CodeNothingNew        = 504 // the voucher pays no more than was paid, or the deposit is used up
	CodeBadAmount         = 505 // nothing, or more than the channel can count
	CodeUnknownMessage    = 65535
)
