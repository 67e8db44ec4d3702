// Package child runs one program as a child that does not outlive its parent.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A Process is a child that was started. Its methods may be called from any
// goroutine.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after err is set
	err  error
}

// Start runs the program at path, its output going to log, which the caller
// closes. The child is the head of a process group of its own, so that a Ctrl-C
// at the terminal reaches the parent alone, and the kernel kills it when the
// parent dies, in whatever way.
//
// The child keeps its environment from env, or from the parent where env is nil.
func Start(path string, args, env []string, log *os.File) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return p, nil
}

// run starts the child and waits for it, on one thread that lives as long as the
// child: the parent whose death the kernel watches is the thread that forked.
// prctl(2), PR_SET_PDEATHSIG: "the 'parent' in this case is considered to be the
// thread that created this process".
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Done returns a channel that is closed when the child is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the child ended, nil for exit status 0. Only to be called
// after Done.
func (p *Process) Err() error { return p.err }

// Pid returns the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop asks the child to end (SIGTERM), kills its process group when it has not
// after grace, and returns when the child is gone. It is true where the child
// had to be killed. A child that is gone already is fine.
func (p *Process) Stop(grace time.Duration) (killed bool) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return false
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-timer.C:
	}
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // not reaped yet, or gone: then there is no such group
	<-p.done
	return true
}
