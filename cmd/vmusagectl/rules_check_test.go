package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func rulesFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const goodRules = `rules:
  - {id: a, resource: cpu, type: percentage, warning: 80}
  - {id: b, resource: cpu, type: percentage, warning: 90}
  - {id: c, metric: vm.process.count, type: absolute, warning: 500}
  - {id: d, resource: network_egress, type: absolute, unit: TBy, window: month, warning: 1}
  - {id: e, resource: memory, type: percentage, warning: 90, enabled: false}
`

func TestRulesCheck(t *testing.T) {
	file := rulesFile(t, goodRules)
	status, out, err := call(t, "rules", "check", file)
	assert.Equal(t, exitOK, status)
	assert.Equal(t, file+": 5 rules: 2 cpu, 1 network_egress per month, 1 vm.process.count, 1 disabled\n", out)
	assert.Empty(t, err)
}

func TestRulesCheckSaysWhatIsWrong(t *testing.T) {
	good := rulesFile(t, "rules: []\n")
	bad := rulesFile(t, "rules:\n  - id: a\n    resource: cpu\n    type: percentage\n    warning: -1\n    critcal: 5\n")
	status, out, err := call(t, "rules", "check", good, bad, "/nowhere/rules.yaml")
	assert.Equal(t, exitFailed, status)
	assert.Equal(t, good+": 0 rules\n"+
		bad+`:5: rules[0] "a": warning is -1: must not be negative`+"\n"+
		bad+`:6: rules[0] "a": critcal is not known: do you mean critical?`+"\n", out)
	assert.Contains(t, err, "/nowhere/rules.yaml: no such file")
	assert.Contains(t, err, "2 of 3 documents are not right")
}

func TestRulesCheckBoundsWhatItSays(t *testing.T) {
	file := rulesFile(t, strings.Repeat("- {}\n", 1000))
	status, out, _ := call(t, "rules", "check", file)
	assert.Equal(t, exitFailed, status)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	assert.Len(t, lines, 101)
	assert.Equal(t, file+": and 3900 more", lines[100])
}

func TestRulesCheckOfFleets(t *testing.T) {
	file := rulesFile(t, `[{id: a, resource: network_egress, type: absolute, unit: TBy, window: month, per: user, warning: 1}]`)
	status, out, _ := call(t, "rules", "check", file)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, out, "scope: fleet")
	status, _, _ = call(t, "rules", "check", "--fleet", file)
	assert.Equal(t, exitOK, status)
}

func TestRulesCheckOfStdin(t *testing.T) {
	var out, errs bytes.Buffer
	term := terminal{out: &out, err: &errs}
	require.NoError(t, checkRules(term, []string{"-"}, strings.NewReader(goodRules), false))
	assert.Contains(t, out.String(), "-: 5 rules: ")
	require.Error(t, checkRules(term, []string{"-"}, strings.NewReader(""), false))
	assert.Contains(t, out.String(), "-:1: the document is empty")
}

func TestRulesCheckOfNothing(t *testing.T) {
	status, _, err := call(t, "rules", "check")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, err, "rules check --help")
}
