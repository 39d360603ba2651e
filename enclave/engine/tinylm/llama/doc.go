// Package llama runs small models of the Llama architecture on the CPU, in
// plain Go, with the same bits on every machine. docs/spec/engine.md sections 5
// and 6 define the arithmetic and the sampler; docs/models.md describes the
// model that the enclave embeds.
//
// The parts, in the order in which a prompt meets them: [ParseGGUF] reads a
// model file, [NewTokenizer] its byte-level BPE, [Load] its weights; a [State]
// holds one sequence and gives logits, a [Sampler] picks a token from them.
//
// Exactness. A Go compiler may fuse x*y + z into one instruction with one
// rounding, and does so on arm64 and on amd64 from GOAMD64=v3; package math has
// assembly with other results on some machines. So here every product of floats
// is converted explicitly, float32(a*b), which forbids fusing (Go specification,
// "Floating-point operators"), and exp, ln, sin and cos are our own. Only
// operations that IEEE 754 rounds correctly are left: + - * / and square root,
// in a fixed order. TestNoFusableProducts reads the source and refuses anything
// else.
//
// The package knows no HTTP, no clock and no randomness.
package llama
