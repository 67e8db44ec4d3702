package top

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Fields are the members of an instance that a Reading is made of.
const Fields = "name,host,user_id,org_id,at,cpu,memory,disks,network,gpus,uptime_seconds,thresholds"

// A Reading is an instance as the API has it. What is not known is nil, never 0.
type Reading struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Host   struct{ ID *string }
	UserID *string    `json:"user_id"`
	OrgID  *string    `json:"org_id"`
	At     *time.Time `json:"at"` // when the levels were read
	CPU    struct {
		Utilization *float64 `json:"utilization"` // of all its CPUs, 0 to 1
		Count       *float64 `json:"count"`
	} `json:"cpu"`
	Memory struct {
		Utilization *float64 `json:"utilization"`
		Used        *float64 `json:"used_bytes"`
		Limit       *float64 `json:"limit_bytes"`
	} `json:"memory"`
	Disks []struct {
		Device string `json:"device"`
		Read   *int64 `json:"read_bytes"`
		Write  *int64 `json:"write_bytes"`
	} `json:"disks"`
	Network []struct {
		Interface string `json:"interface"`
		Transmit  *int64 `json:"transmit_bytes"`
		Receive   *int64 `json:"receive_bytes"`
	} `json:"network"`
	GPUs []struct {
		Utilization *float64 `json:"utilization"`
	} `json:"gpus"`
	Uptime     *float64 `json:"uptime_seconds"`
	Thresholds struct {
		Level string `json:"level"` // ok, warning or critical
	} `json:"thresholds"`
}

// A Page is a part of the list of instances.
type Page struct {
	Instances []Reading
	Next      string // the cursor of the next page; "" for none
}

// UnmarshalJSON reads an answer. One without a list of instances is no page: an empty list
// would say that there are none.
func (p *Page) UnmarshalJSON(text []byte) error {
	var answer struct {
		Instances *[]Reading `json:"instances"`
		Next      *string    `json:"next_cursor"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if answer.Instances == nil {
		return errors.New("it has no instances")
	}
	*p = Page{Instances: *answer.Instances}
	if answer.Next != nil {
		p.Next = *answer.Next
	}
	for i := range p.Instances {
		if p.Instances[i].ID == "" {
			return fmt.Errorf("instances[%d] has no id", i)
		}
	}
	return nil
}

// A traffic is the four counters of an instance, in bytes.
type traffic [4]*int64

const (
	diskRead = iota
	diskWrite
	netReceive
	netTransmit
)

// total returns what all disks and interfaces moved since they are there; nil where a
// counter is not known, and where there is none.
func (r *Reading) total() (t traffic) {
	var sums [4]sum
	for _, d := range r.Disks {
		sums[diskRead].add(d.Read)
		sums[diskWrite].add(d.Write)
	}
	for _, n := range r.Network {
		sums[netReceive].add(n.Receive)
		sums[netTransmit].add(n.Transmit)
	}
	for i := range sums {
		t[i] = sums[i].result()
	}
	return t
}

// busiest returns the utilization of the GPU that is used most, as the API sorts.
func (r *Reading) busiest() (most *float64) {
	for _, g := range r.GPUs {
		if g.Utilization != nil && (most == nil || *g.Utilization > *most) {
			most = g.Utilization
		}
	}
	return most
}

// A sum is of counters, and known only while all of them are.
type sum struct {
	n       int64
	any     bool
	unknown bool
}

func (s *sum) add(n *int64) {
	s.any = true
	if n == nil || *n < 0 || s.n > math.MaxInt64-*n {
		s.unknown = true
		return
	}
	s.n += *n
}

func (s *sum) result() *int64 {
	if !s.any || s.unknown {
		return nil
	}
	return &s.n
}
