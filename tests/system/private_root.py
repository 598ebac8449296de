"""private_root.py - a whole root directory with the package in it, in name spaces of its own"""
import contextlib, fcntl, os, pathlib, subprocess

import pytest


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **more).stdout


@contextlib.contextmanager
def installing(build):
    """Installing writes into the build directory: tests that run beside each other take turns."""
    with open(build / 'installing.lock', 'w') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def make_deb(build, top):
    with installing(build):
        run('cpack', '--config', build / 'CPackConfig.cmake', '-G', 'DEB', '-B', top)
    return next(top.glob('mansio_*.deb'))


def install_tree(build, prefix, top):
    with installing(build):
        run('cmake', '--install', build, '--prefix', prefix, env=dict(os.environ, DESTDIR=str(top)))


class Root:
    """A copy of this machine's root (or of another one) that is thrown away: an overlay in a name space of its own, with
    its own network, name and processes. Whatever runs in it ends with it."""

    SETUP = r'''set -e
b=$1; n=$2; lower=$3
mount -t tmpfs none "$b"
mkdir "$b/upper" "$b/work" "$b/root"
mount -t overlay none -o "lowerdir=$lower,upperdir=$b/upper,workdir=$b/work" "$b/root"
cd "$b/root"
mount -t proc none proc; mount --rbind /dev dev; mount -t tmpfs none run; mount -t tmpfs none tmp
hostname "$n"
ip link set lo up
echo up
read -r end || true'''

    def __init__(self, base, name='bare', lower='/'):
        base.mkdir()
        self.root = base / 'root'
        self.holder = subprocess.Popen(
            ['unshare', '-m', '-n', '-u', '-p', '--fork', '--kill-child', '--propagation', 'private', 'bash', '-c', self.SETUP,
             'root', str(base), name, str(lower)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != 'up\n':
            why = self.holder.communicate()[1]
            pytest.skip(f'no overlay of the root here: {why.strip()}')
        pid = self.holder.pid
        self.init = int(pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.holder.communicate('end\n')

    def argv(self, command):
        return ['nsenter', '-t', str(self.init), '-m', '-n', '-u', '-p', 'chroot', str(self.root), '/usr/bin/env', '-i',
                'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive',
                'bash', '-c', command]

    def sh(self, command, status=0, **more):
        done = subprocess.run(self.argv(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        assert done.returncode == status, f'{command}: exit status {done.returncode}\n{done.stdout}'
        return done.stdout

    def put(self, source, name):
        subprocess.run(self.argv(f'cat >{name}'), input=pathlib.Path(source).read_bytes(), check=True)

    def net(self, *argv, **more):
        """A program of this machine in the network of the root."""
        return subprocess.run(['nsenter', '-t', str(self.init), '-n', *map(str, argv)], capture_output=True, text=True, **more)

    def put_text(self, name, text):
        subprocess.run(self.argv(f'mkdir -p "$(dirname {name})" && cat >{name}'), input=text.encode(), check=True)

    def start(self, log='/var/log/mansio.log', options=''):
        """mtad as installed, with its log in a file; the ready line."""
        self.sh(f'mkfifo /tmp/ready 2>/dev/null; mtad -o "log {{ to = \\"{log}\\" }}" {options} --ready-fd 9 9<>/tmp/ready '
                '</dev/null >>/tmp/out 2>&1 & read -t 60 line </tmp/ready; case $line in ready*) ;; *) cat /tmp/out; exit 1 ;; esac')

    def stop(self):
        self.sh('pid=$(cat /run/mansio/mtad.lock); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done')


# As little of this machine's own Mansio as possible: no users of it, no configuration, no other mail system.
BARE = r'''sed -i '/^mansio-/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow
rm -rf /etc/mansio /var/spool/mansio /var/lib/mansio /etc/mailname
'''
