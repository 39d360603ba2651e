// Package engine is the enclave's side of inference: an [Engine] is an
// http.RoundTripper that speaks the OpenAI API. It implements
// docs/spec/engine.md.
//
// Two kinds exist. [Upstream] fronts an inference server on the same machine
// (vLLM, SGLang, TensorRT-LLM, llama.cpp) over loopback or a Unix socket.
// Package tinylm is an engine in this process, in plain Go.
//
// A request passes three steps. [Shape] decides what an engine may see: an exact
// list of methods and paths, no header of the client's, a list of fields with
// limits; it edits the body as raw bytes. [NewReport] makes the [Report] of the
// answer, and [WithReport] puts it into the context. RoundTrip then runs the
// request and fills the report, which is valid once the response body has been
// closed, however the answer ended.
//
// An engine is inside the trust boundary and not private by default. Inference
// servers keep prefix caches across users, answer on unauthenticated control
// paths, let a header attach a second reader to a running answer, and have given
// silent garbage in confidential mode. Each of these has its counterpart here:
// the random cache salt, the list of paths, the dropped headers, the self-test
// with known answers that runs before the first request and after each restart.
//
// Nothing of a request is logged or stored. The text of an [Error] is public and
// holds nothing of a request; what the client may read, and nobody else, is in
// [Error.Body], which belongs into the sealed answer only.
package engine
