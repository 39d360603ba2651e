// Package openai tests that OpenAI's own client for Go works unchanged: through
// `cocoon proxy`, and over the SDK as its HTTP transport.
package openai
