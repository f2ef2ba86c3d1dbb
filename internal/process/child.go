package process

import (
	"context"
	"os"

	"seawall/internal/fence"
	"seawall/internal/supervise"
)

// Child is a supervised vault, behind its walls.
type Child struct {
	*supervise.Member
	Level *fence.Level
	call  Call
}

// Join raises the walls around the directory that a supervisor handed over, and joins the supervisor.
func (c Call) Join(s fence.Spec) (*Child, error) {
	s.Process, s.Forbidden = c.vault.Name, c.Forbidden
	s.Dir = os.NewFile(supervise.DirFD, "the "+c.vault.Name+"'s directory")
	s.Keep = []int{supervise.ControlFD, supervise.DirFD}
	level, err := fence.Enter(s)
	if err != nil {
		return nil, Refused(err)
	}
	share()
	member, err := supervise.Join(supervise.ControlFD)
	if err != nil {
		return nil, err
	}
	return &Child{member, level, c}, nil
}

// Begin reports with info that the vault serves. The context ends when it shall end.
func (c *Child) Begin(ctx context.Context, info any) (context.Context, context.CancelFunc) {
	ctx, stop := c.Serving(ctx)
	if err := c.Ready(info); err != nil {
		c.call.Log.Error("the supervisor could not be told", "error", err)
		stop()
	}
	return ctx, stop
}

// Fail tells the log, and the supervisor where no restart helps, why the process ends, and returns the exit status.
func (c *Child) Fail(err error) int {
	c.call.Log.Error("the "+c.call.vault.Name+" ended", "error", err)
	status := status(err)
	if status != supervise.ExitRefused {
		return status
	}
	if err := c.Refuse(err); err != nil {
		c.call.Log.Error("the supervisor could not be told", "error", err)
	}
	return status
}
