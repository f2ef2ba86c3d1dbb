package fence

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLevelElsewhere(t *testing.T) {
	level := Level{Process: "signer", Platform: "plan9", Network: NetworkOpen, CoreLimit: 1 << 20, Dumpable: true}
	want := "no protection on plan9: own uid, chroot, Landlock, seccomp, network and dump walls are all missing"
	if got := level.String(); got != want {
		t.Errorf("line\n got %s\nwant %s", got, want)
	}
}

func TestLevelOfAnUnmeasuredFence(t *testing.T) {
	level := Level{Platform: "linux", UID: 998, CoreLimit: 1 << 20}
	want := "uid 998, no Landlock, no seccomp, network open, dumps possible"
	if got := level.String(); got != want {
		t.Errorf("line\n got %s\nwant %s", got, want)
	}
}

// TestLevelJSON keeps the form that the supervisor, the console and scripts read.
func TestLevelJSON(t *testing.T) {
	got, err := json.Marshal(&Level{Process: "signer", Platform: "linux", UID: SignerUID, OwnUID: true, Chroot: true, Landlock: 7,
		Seccomp: true, Network: NetworkNone, Forbidden: 2, NoNewPrivs: true})
	want := `{"process":"signer","platform":"linux","uid":61802,"own_uid":true,"chroot":true,"landlock_abi":7,"seccomp":true,` +
		`"network":"none","forbidden":2,"opened":0,"core_limit":0,"dumpable":false,"no_new_privs":true}`
	if err != nil || string(got) != want {
		t.Errorf("JSON (%v)\n got %s\nwant %s", err, got, want)
	}
}

func TestCleanEnv(t *testing.T) {
	env := cleanEnv([]string{"GOTRACEBACK=crash", "GODEBUG=x=1", stageVariable + "=9", "PATH=/bin", "TMPDIR=/tmp", "TZ=UTC", "GOGC=50", "GOMAXPROCS=2"})
	want := stageVariable + "=2 GOTRACEBACK=single TMPDIR=. GOGC=50 GOMAXPROCS=2"
	if got := strings.Join(env, " "); got != want {
		t.Errorf("environment\n got %s\nwant %s", got, want)
	}
	if err := checkEnv(env); err != nil {
		t.Error(err)
	}
	env = cleanEnv(nil)
	if !strings.HasPrefix(env[len(env)-1], "GOMAXPROCS=") {
		t.Errorf("the number of processors is not passed on: %v", env)
	}
}

// TestCheckEnvKeepsValues makes sure that a value never gets into an error.
func TestCheckEnvKeepsValues(t *testing.T) {
	err := checkEnv([]string{"DATABASE_PASSWORD=hunter2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want one without the value", err)
	}
}
