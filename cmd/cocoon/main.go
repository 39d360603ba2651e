// Command cocoon is the client and the verifier: it asks verified nodes, and
// checks evidence, receipts and nodes. docs/client.md and docs/verifier.md are
// its guides.
package main

import "github.com/cocoon-go/cocoon/internal/command"

func main() { app().Main() }

func app() *command.App {
	return &command.App{
		Name:  "cocoon",
		Short: "private AI that you can verify",
		Commands: []*command.Command{
			demoCommand, chatCommand, modelsCommand, proxyCommand, nodesCommand, nodeCommand,
			verifyNodeCommand, verifyEvidenceCommand, verifyReceiptCommand, verifyRecordCommand,
			receiptExportCommand, challengeCommand, reportCommand, inspectCommand, policyInitCommand, policyCheckCommand, policyExplainCommand,
			endorsementsFetchCommand, endorsementsShowCommand, networkShowCommand, networkRenewCommand,
		},
		Footer: "Try it without any hardware: cocoon demo",
	}
}
