"""test_package.py - what is installed, where, with which modes; the Debian package in a copy of this machine's root"""
import json, re, stat, subprocess

import pytest

from host import BUILD, ROOT, wait_for
from private_root import BARE, Root, install_tree, make_deb, run

LIBEXEC = 'usr/libexec/mansio'
DAEMONS = ['mtad', 'smtpd', 'cleanup', 'queued', 'deliverd', 'mapd', 'mapd-worker', 'dnsd', 'historyd', 'mansio-agent', 'postdrop']
LINKS = {'usr/sbin/mtad': LIBEXEC + '/mtad', 'usr/bin/mailq': 'usr/sbin/sendmail', 'usr/bin/newaliases': 'usr/sbin/sendmail',
         'usr/lib/sendmail': 'usr/sbin/sendmail'}


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp('tree')
    install_tree(BUILD, '/usr', top)
    return top


@pytest.fixture(scope='module')
def deb(tmp_path_factory):
    return make_deb(BUILD, tmp_path_factory.mktemp('deb'))


def listed_users():
    """The names that etc/create-users.sh makes: (users, groups)."""
    text = (ROOT / 'etc/create-users.sh').read_text()
    users = re.search(r'^for u in ([a-z ]+);', text, re.M).group(1).split()
    return [f'mansio-{u}' for u in users], re.findall(r'groupadd --system (\S+)', text)


def test_tree(tree):
    for name in DAEMONS:
        assert stat.S_IMODE((tree / LIBEXEC / name).stat().st_mode) == 0o755, name
    for link, to in LINKS.items():
        assert (tree / link).is_symlink() and (tree / link).resolve() == (tree / to).resolve(), link
    for name in ('mtactl', 'sendmail'):
        assert stat.S_IMODE((tree / 'usr/sbin' / name).stat().st_mode) == 0o755
    assert (tree / 'etc/mansio/mansio.conf').read_bytes() == (ROOT / 'etc/mansio.conf').read_bytes()
    for p in tree.rglob('*'):
        mode = p.lstat().st_mode
        if not stat.S_ISLNK(mode):
            assert not mode & 0o022, f'{p} can be written by others'
            assert not mode & 0o4000, f'{p} is setuid'


def test_manual(tree):
    pages = {p.name for p in (tree / 'usr/share/man').rglob('*.[158]')}
    assert pages == {'mailq.1', 'newaliases.1', *(p.name for p in (ROOT / 'docs/man').glob('*.[158]'))}
    assert {'mtad.8', 'mtactl.8', 'mansio.conf.5', 'mansio-maps.5', 'mansio-queue.5', *(f'{d}.8' for d in DAEMONS[1:6])} <= pages
    assert all('.\\" @' not in p.read_text() for p in (tree / 'usr/share/man').rglob('*.[158]'))


def test_tree_elsewhere(tmp_path):
    """Another prefix: the unit names the programs of that prefix; an administrator's configuration stays."""
    conf = tmp_path / 'etc/mansio/mansio.conf'
    conf.parent.mkdir(parents=True)
    conf.write_text('hostname = mine.example.com\n')
    install_tree(BUILD, '/opt/m', tmp_path)
    unit = (tmp_path / 'opt/m/lib/systemd/system/mansio.service').read_text()
    assert 'ExecStart=/opt/m/libexec/mansio/mtad\n' in unit and 'ExecReload=/opt/m/sbin/mtactl reload\n' in unit
    assert conf.read_text() == 'hostname = mine.example.com\n'


def test_sbin_mtad_works(tree):
    """Operators call mtad by its name in sbin; it finds the others beside the program that the link points to."""
    out = subprocess.run([tree / 'usr/sbin/mtad', '-n', '-c', tree / 'etc/mansio/mansio.conf', '-o', 'hostname = mx.example.com'],
                         capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr


def test_one_list_of_users(tree):
    users, groups = listed_users()
    lines = [l.split() for l in (tree / 'usr/lib/sysusers.d/mansio.conf').read_text().splitlines() if l[0] != '#']
    assert [l[1] for l in lines if l[0] == 'u'] == users
    assert [l[1] for l in lines if l[0] == 'g'] == groups
    named = {w for l in (tree / 'usr/lib/tmpfiles.d/mansio.conf').read_text().splitlines() if l[0] != '#'
             for w in l.split()[3:5]}
    assert named <= {'root', *users, *groups}


def test_control(deb):
    fields = dict(l.split(': ', 1) for l in run('dpkg-deb', '-f', deb).splitlines() if re.match(r'\S+: ', l))
    for name in ('Provides', 'Conflicts', 'Replaces'):
        assert fields[name] == 'mail-transport-agent'
    for library in ('libc6', 'libssl3', 'libseccomp2', 'liblmdb0', 'libc-ares2', 'libevent-core'):
        assert library in fields['Depends'], fields['Depends']
    content = run('dpkg-deb', '-c', deb)
    assert './etc/' not in content, 'postinst writes the configuration, once'
    assert '-rwxr-xr-x root/root' in next(l for l in content.splitlines() if l.endswith(LIBEXEC + '/mtad'))


SEND = r'''/usr/bin/python3 - "$@" <<'X'
import smtplib, sys
s = smtplib.SMTP('127.0.0.1', 25, timeout=30)
s.sendmail('', ['maria@bare.localdomain'], 'From: root\r\nSubject: first\r\n\r\nhello\r\n')
X'''


@pytest.fixture
def root(tmp_path):
    with Root(tmp_path / 'ns') as r:
        r.sh(BARE)
        yield r


@pytest.mark.root
def test_install_upgrade_remove_purge(root, deb):
    root.put(deb, '/root/mansio.deb')
    out = root.sh('dpkg -i --force-conflicts /root/mansio.deb')
    assert 'next step' in out and 'only 127.0.0.1 listens' in out, out
    users, groups = listed_users()
    root.sh('id ' + ' && id '.join(users))
    root.sh('getent group ' + ' '.join(groups))
    conf = root.sh('cat /etc/mansio/mansio.conf')
    assert 'hostname = bare.localdomain\ndomains' not in conf  # the comment between them is still there
    assert '\nhostname = bare.localdomain\n' in conf and '\ndomains = [ bare.localdomain ]\n' in conf
    modes = root.sh('stat -c "%n %a %U" /etc/mansio/mansio.conf /var/spool/mansio /var/lib/mansio').splitlines()
    assert modes[0] == '/etc/mansio/mansio.conf 644 root'
    assert modes[1].startswith('/var/spool/mansio 7') and modes[1].endswith(' mansio-queued')
    assert modes[2] == '/var/lib/mansio 755 root'
    root.sh('mtad -n')
    assert '\nmap aliases {\n    type = aliases\n    source = /etc/aliases\n' in conf and '\naddress {\n    aliases = aliases\n' in conf
    assert root.sh('dpkg -V mansio') == ''

    assert root.sh('stat -c "%a %U:%G" /usr/libexec/mansio/postdrop') == '2755 root:mansio-drop\n'
    assert root.sh('stat -c "%a %U:%G" /var/spool/mansio/drop') == '1730 mansio-queued:mansio-drop\n'

    # The host as installed: local mail is taken before the first start and arrives, nothing listens for others.
    root.sh('useradd -m -d /srv/maria maria')
    root.sh('setpriv --reuid maria --regid maria --clear-groups bash -c "echo early | sendmail maria"')
    root.sh('mkfifo /tmp/ready; mtad -o "log { to = \\"/var/log/mansio.log\\" }" --ready-fd 9 9<>/tmp/ready '
            '</dev/null >/tmp/out 2>&1 & read -t 30 line </tmp/ready; echo "$line"')
    listening = root.sh('ss -Hltn')
    assert '127.0.0.1:25' in listening
    assert all('127.0.0.1:' in line for line in listening.splitlines()), listening
    root.sh(SEND)
    wait_for('both messages', lambda: root.sh('ls /srv/maria/Maildir/new 2>/dev/null | wc -l').strip() == '2',
             explain=lambda: root.sh('cat /tmp/out /var/log/mansio.log'))

    # An upgrade asks nothing, keeps the administrator's file, and the running host goes on.
    root.sh('echo "# mine" >>/etc/mansio/mansio.conf')
    out = root.sh('dpkg -i --force-conflicts /root/mansio.deb </dev/null')
    assert 'next step' not in out
    assert root.sh('tail -n 1 /etc/mansio/mansio.conf') == '# mine\n'
    root.sh(SEND)
    wait_for('the third message', lambda: root.sh('ls /srv/maria/Maildir/new | wc -l').strip() == '3')
    root.sh('kill $(pgrep -o -x mtad); while pgrep -x mtad >/dev/null; do sleep 0.1; done')

    # Removal keeps configuration and mail; purge keeps a spool that holds something, with a word, and of the state what may be mail.
    assert set(root.sh('ls /var/lib/mansio').split()) >= {'history', 'historyd', 'mapd'}
    root.sh('dpkg -r mansio && test -e /etc/mansio/mansio.conf && test -d /var/spool/mansio && ! test -e /usr/sbin/mtad')
    out = root.sh('touch /etc/mansio/passwords; dpkg -P mansio')
    assert '/var/spool/mansio is kept' in out and '/etc/mansio is kept' in out, out
    root.sh('! test -e /etc/mansio/mansio.conf && test -e /etc/mansio/passwords && test -d /var/spool/mansio')
    assert root.sh('ls /var/lib/mansio 2>/dev/null; true').split() in ([], ['mail'])


@pytest.mark.root
def test_names_and_faults(root, deb):
    """/etc/mailname counts first. A broken configuration does not keep the package from being installed."""
    root.put(deb, '/root/mansio.deb')
    root.sh('echo Mail.Example.ORG >/etc/mailname; dpkg -i --force-conflicts /root/mansio.deb')
    assert '\nhostname = mail.example.org\ndomains' not in root.sh('cat /etc/mansio/mansio.conf')
    assert 'hostname = mail.example.org' in root.sh('grep ^hostname /etc/mansio/mansio.conf')
    root.sh('echo "nonsense = 1" >>/etc/mansio/mansio.conf')
    out = root.sh('dpkg -i --force-conflicts /root/mansio.deb')
    assert 'nonsense' in out and 'not in order' in out
    root.sh('dpkg -s mansio | grep -q "^Status: install ok installed"')
    out = root.sh('dpkg -P mansio')
    assert 'kept' not in out, 'nothing was ever queued'
    root.sh('! test -e /etc/mansio && ! test -e /var/spool/mansio && ! test -e /var/lib/mansio')


@pytest.mark.root
def test_units(root, deb):
    root.put(deb, '/root/mansio.deb')
    root.sh('dpkg -i --force-conflicts /root/mansio.deb')
    assert root.sh('systemd-analyze verify --man=no --recursive-errors=one /usr/lib/systemd/system/mansio.service') == ''
    unit = root.sh('cat /usr/lib/systemd/system/mansio.service')
    assert 'Type=notify' in unit and 'LimitNOFILE=' in unit
    # Set-id programs run below agents: see the reason in the unit.
    assert not re.search(r'^(NoNewPrivileges|RestrictSUIDSGID|ProtectHome)=', unit, re.M)
    # Both tools agree that there is nothing left to do.
    assert root.sh('systemd-sysusers --dry-run 2>&1 | grep -i mansio; true') == ''


@pytest.mark.root
def test_check_install(root, deb):
    root.put(deb, '/root/mansio.deb')
    root.sh('dpkg -i --force-conflicts /root/mansio.deb')
    root.sh('mtactl check --install')  # makes what mtad would make at its first start
    assert 'as they should be' in root.sh('mtactl check --install')
    root.sh('useradd mallory; usermod -a -G mansio-admin mallory; chmod 755 /usr/libexec/mansio/postdrop; '
            'chown mallory: /var/spool/mansio/drop; chmod 777 /var/lib/mansio; rmdir /var/lib/mansio/mapd; '
            'chgrp root /var/spool/mansio')
    stranger = 'setpriv --reuid mallory --regid mallory --clear-groups mtactl --json check --install'
    report = json.loads(root.sh(stranger, status=1))
    assert {r['outcome'] for r in report['rows']} == {"root's call repairs it", 'call it as root'}, report
    out = root.sh('mtactl --json check --install')
    report = json.loads(out)
    faults = {(r['what'], r['fault'].split(' ')[0]) for r in report['rows']}
    assert faults >= {('/usr/libexec/mansio/postdrop', 'has'), ('/var/spool/mansio/drop', 'belongs'), ('/var/lib/mansio', 'has'),
                      ('/var/lib/mansio/mapd', 'is'), ('/var/spool/mansio', 'belongs')}, out
    assert {r['outcome'] for r in report['rows']} == {'repaired'}
    assert root.sh('stat -c "%a %U:%G" /usr/libexec/mansio/postdrop /var/spool/mansio/drop /var/lib/mansio/mapd').split() == [
        '2755', 'root:mansio-drop', '1730', 'mansio-queued:mansio-drop', '700', 'mansio-mapd:mansio-mapd']
    # Each place once, with a wrong owner and with a wrong mode; the queue's own once they are there.
    root.start()
    root.sh('echo x | sendmail root; while [ ! -s /var/spool/mansio/seg/000001.seg ]; do sleep 0.1; done')
    root.stop()
    places = ['/usr/libexec/mansio/postdrop', '/run/mansio', '/var/lib/mansio', '/var/lib/mansio/mapd',
              *(f'/var/spool/mansio{d}' for d in ('', '/drop', '/seg', '/state', '/big'))]
    for place in places:
        before = root.sh(f'stat -c "%a %U:%G" {place}')
        for harm in (f'chown mallory: {place}', f'chmod 7 {place}'):
            report = json.loads(root.sh(f'{harm}; mtactl --json check --install'))
            assert {r['what'] for r in report['rows']} == {place}, (harm, report)
            assert root.sh(f'stat -c "%a %U:%G" {place}') == before, harm
    # A spool that came from another machine.
    root.sh('chown -R mallory: /var/spool/mansio/seg /var/spool/mansio/state && mtactl check --install')
    assert root.sh('find /var/spool/mansio ! -user mansio-queued') == ''
    root.start()
    root.stop()
    # What nobody can repair blindly is told, not touched.
    root.sh('rm -rf /var/spool/mansio/drop && ln -s /etc /var/spool/mansio/drop')
    assert 'by hand' in root.sh('mtactl check --install', status=1)
    assert root.sh('stat -c "%a %U" /etc') == '755 root\n'
    root.sh('rm /var/spool/mansio/drop; userdel mansio-dnsd')
    assert 'no such user' in root.sh('mtactl check --install', status=1)
