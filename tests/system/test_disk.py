"""A full disk, and one that turns read-only, on a small file system of its own."""
import contextlib, json, os, smtplib, subprocess, tempfile

import pytest

import host
from host import Host, wait_for
from sink import Sink

pytestmark = pytest.mark.root
SIZE = 400 << 20


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **more).stdout


class Disk:
    """An ext4 in a file, mounted where the spool is."""

    def __init__(self, at):
        self.at, self.image = at, tempfile.NamedTemporaryFile(prefix='mansio-test-', suffix='.img')
        self.image.truncate(SIZE)
        run('/usr/sbin/mkfs.ext4', '-q', '-F', '-m', '0', self.image.name)
        at.mkdir(parents=True)
        self.mount()
        (at / 'lost+found').rmdir()

    def mount(self):
        p = subprocess.run(['mount', '-o', 'loop', self.image.name, str(self.at)], capture_output=True, text=True)
        if p.returncode:
            pytest.skip(f'no loop devices here: {p.stderr.strip()}')

    def unmount(self):
        wait_for('nobody has it any more', lambda: subprocess.run(['umount', str(self.at)], capture_output=True).returncode == 0)

    def free(self):
        v = os.statvfs(self.at)
        return v.f_bavail * v.f_frsize

    def fill(self, leave=0):
        """All but so many bytes, in a file that `room` removes."""
        with open(self.at / 'ballast', 'ab') as f:
            for step in (4 << 20, 65536, 4096):
                while self.free() - step >= leave:
                    try:
                        os.posix_fallocate(f.fileno(), f.seek(0, 2), step)
                    except OSError:
                        break
        return self.free()

    def room(self):
        (self.at / 'ballast').unlink()


@contextlib.contextmanager
def small_spool(**fields):
    h = Host(relay_from=['127.0.0.0/8'], **fields)
    disk = Disk(h.dir / 'spool')
    try:
        with h:
            yield h, disk
        disk.unmount()
    except BaseException:
        h.stop_hard()
        subprocess.run(['umount', '-l', str(disk.at)], capture_output=True)
        raise


def change(h, *args):
    p = subprocess.run([str(host.BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), '--json', *args],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p
    return json.loads(p.stdout)


def over(h, act, *selector):
    """A command that asks before it does what cannot be undone."""
    asks = '--yes' in subprocess.run([str(host.BUILD / 'bin/mtactl'), '--help'], capture_output=True, text=True).stdout
    return change(h, 'queue', act, *selector, *(['--yes'] if asks else []))


def refused(h):
    """The code of the refusal, None when it was taken."""
    try:
        h.send('user@demo.test', 'Subject: late\r\n\r\nx\r\n')
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as e:
        return e.smtp_code if hasattr(e, 'smtp_code') else next(iter(e.recipients.values()))[0]
    return None


def listed(h):
    return {r['id']: r for r in change(h, 'queue', 'list')['rows'] if r['kind'] == 'message'}


def test_a_full_disk_takes_no_mail_and_everything_else_goes_on():
    port = host.free_port()   # nobody listens yet
    with small_spool(conf=f'route default {{ via = "127.0.0.1:{port}" }}') as (h, disk):
        h.queue = 'retry = [ 1s ]'
        h.restart()
        ids = [h.send('a@far.test', f'Subject: t\r\n\r\n{i}\r\n', sender='user@demo.test') for i in range(12)]
        h.wait_log('delivery.result', count=12)
        # Below the reserve, then to the last block.
        for leave, code in ((100 << 20, 452), (0, 452)):
            disk.fill(leave)
            wait_for('new mail is refused', lambda: refused(h) == code)
        assert disk.free() < 65536
        h.wait_log('queue.disk.full')
        arrived = len(h.mailbox('user'))
        change(h, 'queue', 'hold', ids[0])
        over(h, 'delete', ids[1])
        change(h, 'queue', 'hold', ids[2])
        change(h, 'queue', 'release', ids[2])
        assert listed(h)[ids[0]]['state'] == 'held' and ids[1] not in listed(h)
        over(h, 'bounce', ids[3])   # its notice is a new message, on the full disk
        wait_for('the notice arrives', lambda: len(h.mailbox('user')) > arrived)
        with Sink(port=port) as far:   # results
            far.wait_messages(9)
            wait_for('all but the held one are over', lambda: set(listed(h)) == {ids[0]})
            assert refused(h) == 452
            h.kill('queued')   # and a start
            h.wait_log('queue.recovery.done', count=3)
            assert set(listed(h)) == {ids[0]}
            assert refused(h) == 452
            disk.room()
            wait_for('new mail is taken', lambda: refused(h) is None)
            h.wait_log('queue.disk.ok')
            change(h, 'queue', 'release', ids[0])
            far.wait_messages(10)
            wait_for('the queue is empty', lambda: not listed(h))
            assert len(far.messages) == 10
        assert change(h, 'queue', 'verify')['rows'][-1]['problems'] == 0
        h.stop()


def test_local_mail_is_refused_below_the_reserve_too():
    sendmail = [str(host.BUILD / 'bin/sendmail'), '-C']
    message = b'Subject: cron\n\nx\n'
    with Host() as h:
        conf = str(h.dir / 'etc/mansio.conf')
        local = lambda: subprocess.run([*sendmail, conf, 'user'], input=message, capture_output=True, timeout=60)
        h.queue = 'reserve = 900000G'
        h.write()
        p = local()   # at once: it asks the disk, not the daemons
        assert p.returncode == 75 and b'disk of the mail queue is full' in p.stderr and b'not taken' in p.stderr, p
        s = subprocess.run([*sendmail, conf, '-bs'], input=b'HELO x\nMAIL FROM:<user>\nRCPT TO:<user>\nDATA\nSubject: x\n\nx\n.\nQUIT\n', capture_output=True, timeout=60)
        assert b'\n451 4.3.0' in s.stdout, s
        assert [f for f in os.listdir(h.dir / 'spool/drop') if f != 'bad'] == []
        h.queue = ''
        h.write()
        p = local()
        assert p.returncode == 0, p
        h.wait_mail(count=1)
        assert len(h.mailbox()) == 1


def test_a_disk_that_turns_read_only_refuses_and_loses_nothing():
    port = host.free_port()
    with small_spool(conf=f'route default {{ via = "127.0.0.1:{port}" }}') as (h, disk):
        h.queue = 'retry = [ 1s ]'
        h.restart()
        ids = [h.send('a@far.test', sender='user@demo.test') for _ in range(5)]
        h.wait_log('delivery.result', count=5)
        subprocess.run(['mount', '-o', 'remount,abort', str(disk.at)], capture_output=True)   # as the kernel does after an error
        with pytest.raises(OSError):
            (disk.at / 'probe').write_text('x')
        for _ in range(3):
            assert refused(h) in (451, 452)
        h.kill_mtad()
        disk.unmount()
        subprocess.run(['/usr/sbin/e2fsck', '-p', '-f', disk.image.name], capture_output=True)
        disk.mount()
        h.start()
        with Sink(port=port) as far:
            far.wait_messages(5)
            wait_for('all are over', lambda: not listed(h))
            assert refused(h) is None
            assert len(far.messages) == 5 and len(ids) == 5
        assert change(h, 'queue', 'verify')['rows'][-1]['problems'] == 0
        h.stop()
