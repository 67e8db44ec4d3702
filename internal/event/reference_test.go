package event

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/vmusage/otelcol-vmusage/internal/usage"
)

// refEvent is the event for encoding/json: the contract a second time, with
// arbitrary precision in place of ours. Pointers are absent in 1.0.
type refEvent struct {
	Type      string     `json:"event_type"`
	Version   string     `json:"version"`
	ID        *uuid.UUID `json:"event_id,omitempty"`
	Timestamp int64      `json:"timestamp"`
	Instance  string     `json:"instance_id"`
	User      string     `json:"user_id"`
	Org       *string    `json:"org_id"`
	Metrics   refMetrics `json:"metrics"`
	Period    refPeriod  `json:"period"`
	*refExact
}

type refMetrics struct {
	CPUSeconds    any `json:"cpu_seconds"`
	CPUPercent    any `json:"cpu_percent_avg"`
	MemoryGB      any `json:"memory_gb"`
	MemoryPercent any `json:"memory_percent"`
	StorageGB     any `json:"storage_gb"`
	EgressMB      any `json:"network_egress_mb"`
	IngressMB     any `json:"network_ingress_mb"`
	GPUSeconds    any `json:"gpu_seconds"`
}

type refPeriod struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	*refPeriodExact
}

type refPeriodExact struct {
	StartNS  int64  `json:"start_ns"`
	EndNS    int64  `json:"end_ns"`
	Duration int64  `json:"duration_ns"`
	Sequence uint64 `json:"sequence"`
	Joined   uint32 `json:"joined,omitempty"`
	refQuality
	Stepped bool    `json:"clock_stepped,omitempty"`
	Final   bool    `json:"final,omitempty"`
	Meters  ordered `json:"meters,omitempty"`
}

type refQuality struct {
	Quality  string      `json:"quality"`
	Coverage json.Number `json:"coverage"`
}

type refStat struct {
	Avg json.Number `json:"avg"`
	Max json.Number `json:"max"`
}

type refExact struct {
	Stream struct {
		ID     uuid.UUID `json:"id"`
		Source string    `json:"source"`
		Host   string    `json:"host"`
		Run    string    `json:"run"`
		Start  int64     `json:"start"`
	} `json:"stream"`
	Usage    ordered `json:"usage"`
	Totals   ordered `json:"totals"`
	Devices  ordered `json:"devices"`
	Stats    ordered `json:"stats"`
	Instance struct {
		Name       string `json:"name"`
		Hypervisor string `json:"hypervisor"`
		VCPUs      int64  `json:"vcpus"`
		Memory     int64  `json:"memory_bytes"`
		Storage    int64  `json:"storage_bytes"`
		GPUs       int64  `json:"gpus"`
	} `json:"instance"`
	Host struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"host"`
	Labels ordered `json:"labels"`
}

// ordered is an object whose members keep their order.
type ordered []member

type member struct {
	key   string
	value any
}

func (o *ordered) add(key string, value any) { *o = append(*o, member{key, value}) }

func (o ordered) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := refJSON(m.key)
		if err != nil {
			return nil, err
		}
		value, err := refJSON(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// refJSON is encoding/json without HTML escapes.
func refJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decimal returns num/den to six places, rounded half up, without trailing zeros.
func decimal(num, den *big.Int) json.Number {
	if den.Sign() == 0 {
		return "0"
	}
	s := new(big.Rat).SetFrac(num, den).FloatString(6)
	return json.Number(strings.TrimRight(strings.TrimRight(s, "0"), "."))
}

func product(factors ...int64) *big.Int {
	p := big.NewInt(1)
	for _, f := range factors {
		p.Mul(p, big.NewInt(f))
	}
	return p
}

func millionthsOf(v int64) json.Number { return decimal(product(v), product(1e6)) }

// floorOf is the floor by Euclidean division, for divisors above zero.
func floorOf(v, per int64) int64 {
	return new(big.Int).Div(big.NewInt(v), big.NewInt(per)).Int64()
}

func reference(v Version, p *usage.Period) refEvent {
	known := func(value any, meters ...usage.Meter) any {
		for _, m := range meters {
			_, _, device := m.Device()
			if v == V1_1 && (p.Metered.Has(m) && p.Quality[m] == usage.Gap || !p.Metered.Has(m) && !device) {
				return nil
			}
		}
		return value
	}
	gpus := func() any {
		any := p.Metered.Has(usage.GPUProvisioned) || p.Metered.Has(usage.GPUMemory) || p.Metered.Has(usage.GPUEnergy)
		if v == V1_1 && any && !p.Metered.Has(usage.GPUActive) {
			return nil
		}
		return known(floorOf(p.Totals[usage.GPUActive], 1e6)-floorOf(p.Totals[usage.GPUActive]-p.Usage[usage.GPUActive], 1e6), usage.GPUActive)
	}
	seconds := func(m usage.Meter) any {
		return known(floorOf(p.Totals[m], 1e6)-floorOf(p.Totals[m]-p.Usage[m], 1e6), m)
	}
	percent := func(part, whole usage.Meter) any {
		return known(decimal(product(p.Usage[part], 100), product(p.Usage[whole])), part, whole)
	}
	gib := func(m usage.Meter) any {
		return known(decimal(product(p.Usage[m], 1e9), product(p.Duration, 1024)), m)
	}
	mib := func(m usage.Meter) any { return known(decimal(product(p.Usage[m]), product(1<<20)), m) }

	e := refEvent{
		Type: "resource_usage", Version: v.String(), Timestamp: floorOf(p.End, 1e9),
		Instance: p.Instance.ID, User: p.Instance.UserID,
		Metrics: refMetrics{
			seconds(usage.CPUTime), percent(usage.CPUTime, usage.VCPUProvisioned),
			gib(usage.Memory), percent(usage.Memory, usage.MemoryProvisioned), gib(usage.Storage),
			mib(usage.NetworkTransmitBytes), mib(usage.NetworkReceiveBytes), gpus(),
		},
		Period: refPeriod{Start: floorOf(p.Start, 1e9), End: floorOf(p.End, 1e9)},
	}
	if p.Instance.OrgID != "" {
		e.Org = &p.Instance.OrgID
	}
	if v == V1_1 {
		e.exact(p)
	}
	return e
}

func (e *refEvent) exact(p *usage.Period) {
	e.ID = new(uuid.NewSHA1(p.Stream.ID, []byte(strconv.FormatUint(p.Sequence, 10)+"/"+
		strconv.FormatInt(p.Start, 10)+"/"+strconv.FormatInt(p.End, 10))))
	qualityOf := func(q usage.Quality, coverage int32) refQuality {
		return refQuality{q.String(), millionthsOf(int64(coverage))}
	}
	e.Period.refPeriodExact = &refPeriodExact{
		StartNS: p.Start, EndNS: p.End, Duration: p.Duration, Sequence: p.Sequence,
		refQuality: qualityOf(p.WorstQuality(), p.LeastCoverage()), Stepped: p.ClockStepped, Final: p.Final,
	}
	if p.Joined > 1 {
		e.Period.Joined = p.Joined
	}
	x := &refExact{}
	e.refExact = x
	x.Stream.ID, x.Stream.Source, x.Stream.Host = p.Stream.ID, p.Stream.Source, p.Stream.HostID
	x.Stream.Run, x.Stream.Start = p.Stream.Run, p.Stream.Start
	for m := range p.Metered.All() {
		x.Usage.add(m.Info().Field, p.Usage[m])
		x.Totals.add(m.Info().Field, p.Totals[m])
		if p.Quality[m] != usage.Measured || p.Coverage[m] != usage.FullCoverage {
			e.Period.Meters.add(m.Info().Key, qualityOf(p.Quality[m], p.Coverage[m]))
		}
	}
	for c, class := range []string{"disks", "interfaces", "gpus"} {
		var devices []ordered
		for _, d := range p.Devices {
			if d.Class != usage.Class(c) {
				continue
			}
			device := ordered{{"id", d.ID}}
			if d.Class == usage.GPU {
				device.add("model", d.Model)
			}
			for i, amount := range d.Amounts {
				if m := d.Class.Meter(i); p.Metered.Has(m) {
					_, field, _ := strings.Cut(m.Info().Field, "_")
					device.add(field, amount)
				}
			}
			devices = append(devices, device)
		}
		if devices != nil {
			x.Devices.add(class, devices)
		}
	}
	for u, s := range p.Stats {
		if s.Valid {
			x.Stats.add(strings.ReplaceAll(usage.Utilization(u).String(), ".", "_"), refStat{millionthsOf(s.Avg), millionthsOf(s.Max)})
		}
	}
	x.Instance.Name, x.Instance.Hypervisor = p.Instance.Name, p.Instance.Hypervisor
	x.Instance.VCPUs, x.Instance.Memory = p.Flavor.VCPUs, p.Flavor.MemoryBytes
	x.Instance.Storage, x.Instance.GPUs = p.Flavor.StorageBytes, p.Flavor.GPUs
	x.Host.ID, x.Host.Name = p.Instance.HostID, p.Instance.HostName
	for _, l := range p.Instance.Labels {
		x.Labels.add(l.Key, l.Value)
	}
}
