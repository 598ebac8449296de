"""Confinement: each daemon and each of its threads tries every forbidden act, with Landlock off, at ABI 2 (Debian's own
kernel) and full; and what the kernel itself says about the running processes."""
import os, pathlib, re, subprocess

import pytest

from host import BUILD, Host

pytestmark = pytest.mark.root

DAEMONS = {'dnsd', 'mapd', 'mapd-worker', 'queued', 'cleanup', 'deliverd', 'smtpd', 'historyd'}
USERS = {d: f'mansio-{d}' for d in DAEMONS} | {'mapd-worker': 'mansio-mapd', 'historyd': 'mansio-history'}
# What a role may do although it stands in the table of acts; the reason is printed by mtad itself.
PERMITTED = {
    'dnsd': {'socket-tcp', 'socket-tcp6', 'socket-udp'},
    'deliverd': {'socket-tcp', 'socket-tcp6'},
    'mapd-worker': {'open-passwd', 'open-above', 'socket-unix', 'socket-unix-dgram', 'socketpair', 'socket-tcp',
                    'socket-tcp6', 'socket-udp', 'socket-netlink'},
}
# The acts that the issue names; the table may hold more, never fewer.
NAMED = {'open-passwd', 'execve', 'fork', 'socket-unix', 'socket-tcp', 'socket-udp', 'socket-raw', 'socket-netlink',
         'connect-abstract', 'spool-write', 'kill-parent', 'kill-init', 'ptrace-parent', 'setuid', 'setresuid', 'chroot',
         'mount', 'unshare', 'mknod', 'chmod', 'bpf', 'io-uring', 'keyctl', 'personality', 'process-vm-read', 'dumpable'}


def landlock_abi():
    import ctypes
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)


@pytest.mark.parametrize('landlock', [0, 2, 64])
def test_every_act_is_refused_to_every_thread(landlock):
    h = Host(mtad=['--landlock', str(landlock), '--try-forbidden'])
    conf = h.write()
    run = subprocess.run([BUILD / 'bin/mtad', '-c', conf, *h.mtad_options], capture_output=True, text=True, timeout=300)
    acts = re.findall(r'^([a-z-]+)(?:\[\d+\])? thread=(\d+) act=(\S+) (.*)$', run.stdout, re.M)
    # Before its fourth ABI Landlock has no say in ports, and what may bind may choose one (and still not listen).
    ports = landlock_abi() < 4 or landlock < 4
    permitted = {d: PERMITTED.get(d, set()) | ({'bind-port'} if ports and d in ('deliverd', 'dnsd') else set()) for d in DAEMONS}
    wrong = [a for a in acts if not re.match(r'refused E[A-Z]+$', a[3])
             and not (a[3].startswith('permitted (') and a[2] in permitted.get(a[0], ()))]
    assert not wrong, f'{wrong}\n{h.log_tail()}'
    tried = {}
    for daemon, thread, act, _ in acts:
        tried.setdefault((daemon, int(thread)), set()).add(act)
    assert {d for d, _ in tried} == DAEMONS | {'agent'}, run.stdout[-2000:] + h.log_tail()
    for who, done in tried.items():
        assert NAMED <= done, (who, NAMED - done)
        assert done == tried['smtpd', 0], (who, done ^ tried['smtpd', 0])
    assert {t for d, t in tried if d == 'queued'} >= {0, 1, 2}, 'committer and syncer must try too'
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:] + h.log_tail()
    h.__exit__(None)


def status_of(task):
    return dict(line.split(':\t', 1) for line in (task / 'status').read_text().splitlines() if ':\t' in line)


@pytest.fixture(scope='module')
def running():
    with Host() as h:
        yield h


def children(h):
    pids = h.pids()
    assert DAEMONS <= pids.keys(), pids
    for name in DAEMONS:
        for pid in pids[name]:
            yield name, pid, pathlib.Path(f'/proc/{pid}')


def uid_of(user):
    import pwd
    return pwd.getpwnam(user).pw_uid


def test_every_task_is_filtered_and_powerless(running):
    for name, pid, proc in children(running):
        uid = str(uid_of(USERS[name]))
        for task in (proc / 'task').iterdir():
            s = status_of(task)
            where = f'{name} {task}'
            assert s['Seccomp'] == '2', where
            assert s['NoNewPrivs'] == '1', where
            assert s['Uid'].split() == [uid] * 4, where
            assert '0' not in s['Gid'].split() and not s['Groups'].split(), where
            for caps in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                assert int(s[caps], 16) == 0, (where, caps)


def test_a_uid_per_daemon(running):
    uids = {name: uid_of(user) for name, user in USERS.items() if name != 'mapd-worker'}
    assert len(set(uids.values())) == len(uids) and 0 not in uids.values()


def test_the_jails_are_empty(running):
    state, spool = running.dir / 'state', running.dir / 'spool'
    for name, pid, proc in children(running):
        root = os.stat(proc / 'root/.')
        inside = set(os.listdir(proc / 'root/.'))
        if name == 'queued':
            assert os.path.samestat(root, os.stat(spool)), name
        elif name in ('mapd', 'historyd'):
            assert os.path.samestat(root, os.stat(state / name)), name
        elif name == 'mapd-worker':
            assert os.path.samestat(root, os.stat('/')), 'name services need the system'
        else:
            assert inside == set(), (name, inside)
            assert root.st_uid == 0 and root.st_mode & 0o777 == 0o555, name
            assert os.readlink(proc / 'cwd').endswith('/run/jail'), name


def test_descriptors_are_the_few_that_mtad_gave(running):
    """No directory but the spool, the state and the jail; nothing of the file system can be written but the log (and by those that keep files, these)."""
    for name, pid, proc in children(running):
        for fd in (proc / 'fd').iterdir():
            try:
                target = os.readlink(fd)
            except FileNotFoundError:
                continue
            if name in ('queued', 'mapd', 'historyd') or not target.startswith('/') or target.startswith(('/memfd:', '/dev/null')):
                continue
            assert target in (str(running.log_path), str(running.dir / 'run/jail')), (name, target)


def test_limits(running):
    for name, pid, proc in children(running):
        limits = {m[0].strip(): m[1].split()[:2] for line in (proc / 'limits').read_text().splitlines()[1:]
                  if (m := (line[:26], line[26:]))}
        assert limits['Max core file size'][1] == '0', name
        assert limits['Max processes'][1] == '0', name
        assert limits['Max address space'][1] != 'unlimited', name


def test_mtad_keeps_only_what_it_needs(running):
    s = status_of(pathlib.Path(f'/proc/{running.proc.pid}'))
    sys_admin, sys_ptrace, sys_module, net_admin = 1 << 21, 1 << 19, 1 << 16, 1 << 12
    for caps in ('CapPrm', 'CapEff', 'CapBnd'):
        assert int(s[caps], 16) & (sys_admin | sys_ptrace | sys_module | net_admin) == 0, caps
    assert s['Seccomp'] == '2' and s['NoNewPrivs'] == '0', 'set-id programs of agents must work'


def test_nothing_of_ours_can_be_reached_by_path_or_name(running):
    """The edges are socketpairs: no listening Unix socket, abstract or not, belongs to the suite."""
    inodes = set()
    for name, pid, proc in children(running):
        for fd in (proc / 'fd').iterdir():
            try:
                m = re.match(r'socket:\[(\d+)\]', os.readlink(fd))
            except FileNotFoundError:
                continue
            inodes |= {m[1]} if m else set()
    for line in pathlib.Path('/proc/net/unix').read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in inodes:
            assert len(fields) == 7 and fields[3] != '00010000', line
