package thresholdprocessor

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/vmusage/otelcol-vmusage/internal/rulestore"
	"github.com/vmusage/otelcol-vmusage/internal/threshold"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// TestScenarios runs testdata/scenarios. Each file is a configuration, what
// happens, all that came out of it and what the processor tells about itself.
// What can happen:
//
//	send [PIPELINE]   hands on what the indented lines below it are (see batch); pipelines are a and b
//	again [PIPELINE]  hands on the same once more
//	wait DURATION     lets time pass
//	refuse, take      from now on the next consumer refuses, or takes, what it gets
//	write FILE        puts the section of that name where sources::file looks
//	remove            removes that file
//	put RULE          writes a rule, in YAML, to the API; delete ID deletes one
//	restart           ends the processor and starts it on the same storage
//	crash             the same without an end: the storage is as it was at that instant
//	crash in send     the next batch is taken, and the process dies before it hears of that
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			sections := readSections(t, path)
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := &scenario{sections: sections, dir: dir, state: filepath.Join(dir, "state-0"), api: &api{Store: rulestore.New(rulestore.Options{Limit: 10})}}
				s.run(t)
				if *update {
					sections.set("output", s.out.String())
					sections.set("telemetry", s.telemetry)
					sections.write(t, path)
					return
				}
				assert.Equal(t, sections.get("output"), s.out.String())
				assert.Equal(t, sections.get("telemetry"), s.telemetry)
			})
		})
	}
}

// A scenario is one that runs.
type scenario struct {
	*deployment
	sections *sections
	dir      string // of files
	state    string // folder of the storage now
	states   int
	api      *api

	began     time.Time
	last      func() pmetric.Metrics
	dying     bool
	telemetry string
	logged    int // lines that are in out
	reported  int // statuses that are in out

	mu      sync.Mutex // guards all below
	refuses bool
	out     strings.Builder
}

func (s *scenario) run(t *testing.T) {
	s.began = time.Now()
	if initial := s.sections.get("rules.yaml"); initial != "" {
		write(t, s.rules(), initial)
	}
	s.start(t)
	lines := strings.Split(s.sections.get("input"), "\n")
	for i := 0; i < len(lines); i++ {
		line, _, _ := strings.Cut(lines[i], " #")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var block []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") {
			i++
			block = append(block, lines[i])
		}
		s.step(t, verb, rest, block)
		synctest.Wait()
		s.printNews()
	}
	s.telemetry = renderTelemetry(t, s.deployment.telemetry)
	s.stop(t)
}

func (s *scenario) rules() string { return filepath.Join(s.dir, "rules.yaml") }

func (s *scenario) start(t *testing.T) {
	cfg, err := parseConfig(t, strings.ReplaceAll(s.sections.get("config"), "RULES", s.rules()))
	require.NoError(t, err)
	state := ""
	if cfg.Storage != nil {
		state = s.state
		require.NoError(t, os.MkdirAll(state, 0o750))
	}
	s.deployment = deploy(t, cfg, state, map[component.ID]component.Component{component.MustNewID("usage_api"): s.api},
		s.next(t, "a"), s.next(t, "b"))
	s.logged, s.reported = 0, 0
	synctest.Wait()
	s.printNews()
}

// next returns the consumer behind a pipeline.
func (s *scenario) next(t *testing.T, pipeline string) consumer.ConsumeMetricsFunc {
	return func(_ context.Context, md pmetric.Metrics) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refuses {
			s.printLocked("refused %s", pipeline)
			renderMetrics(t, &s.out, md, s.began)
			return errRefused
		}
		s.printLocked("out %s", pipeline)
		renderMetrics(t, &s.out, md, s.began)
		if s.dying {
			snapshot(t, s.state, s.nextState())
		}
		return nil
	}
}

func (s *scenario) nextState() string { return filepath.Join(s.dir, "state-"+strconv.Itoa(s.states+1)) }

func (s *scenario) step(t *testing.T, verb, rest string, block []string) {
	switch verb {
	case "send":
		at := time.Now()
		s.last = func() pmetric.Metrics { return parseBatch(t, block, at) }
		s.send(t, rest)
	case "again":
		s.send(t, rest)
	case "wait":
		d, err := time.ParseDuration(rest)
		require.NoError(t, err)
		time.Sleep(d)
	case "refuse", "take":
		s.mu.Lock()
		s.refuses = verb == "refuse"
		s.mu.Unlock()
	case "write":
		write(t, s.rules(), s.sections.get(rest))
	case "remove":
		require.NoError(t, os.Remove(s.rules()))
	case "put":
		rules, err := threshold.Parse([]byte("rules: ["+rest+"]"), threshold.Options{Source: threshold.API, Fleet: true})
		require.NoError(t, err)
		_, err = s.api.Put(t.Context(), rules[0], rulestore.Absent, rulestore.Author{})
		if err != nil {
			_, err = s.api.Put(t.Context(), rules[0], rulestore.Any, rulestore.Author{})
		}
		require.NoError(t, err)
	case "delete":
		require.NoError(t, s.api.Delete(t.Context(), rest, rulestore.Any))
	case "restart":
		s.print("restart")
		s.stop(t)
		s.start(t)
	case "crash":
		if rest == "in send" {
			s.dying = true
			return
		}
		snapshot(t, s.state, s.nextState())
		s.crash(t)
	default:
		t.Fatalf("there is no step %q", verb)
	}
}

func (s *scenario) crash(t *testing.T) {
	s.print("crash")
	s.stop(t)
	s.state = s.nextState()
	s.states++
	s.dying = false
	s.start(t)
}

func (s *scenario) send(t *testing.T, pipeline string) {
	to := s.processors[0]
	if pipeline == "b" {
		to = s.processors[1]
	}
	err := to.ConsumeMetrics(t.Context(), s.last())
	if s.refuses {
		require.ErrorIs(t, err, errRefused)
	} else {
		require.NoError(t, err)
	}
	if s.dying {
		s.crash(t)
	}
}
