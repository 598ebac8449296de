"""test_virtual.py - virtual mailboxes: a large compiled table of address -> path, owner, quota, and what is wrong in one"""
import contextlib, os, pathlib, pwd, random, shutil, smtplib, subprocess, tempfile

import pytest

from host import BUILD, IS_ROOT, Host, wait_for

MANY = 5000
OWNER = 'mansio-vmail'


@contextlib.contextmanager
def virtual_host(entries, queue='retry = [ 1s ]', conf=''):
    h = Host(demo_mailbox=False, conf='map people { type = lmdb  source = "@DIR@/etc/people" }\n'
             f'mailbox people {{ lookup = people  root = "@DIR@/mail"  owner = {OWNER} }}\n{conf}')
    h.queue = queue
    h.dir.chmod(0o755)
    (h.dir / 'etc').mkdir()
    table(h, entries)
    with h:
        h.rules = entries
        yield h


def table(h, entries):
    """As an editor that knows its trade does it: beside the old one, then renamed."""
    new = h.dir / 'etc/people.new'
    new.write_text(''.join(f'{line}\n' for line in entries))
    new.rename(h.dir / 'etc/people')


def mtactl(h, *args):
    return subprocess.run([str(BUILD / 'bin/mtactl'), '-c', str(h.dir / 'etc/mansio.conf'), *args], capture_output=True, text=True)


def reload(h):
    r = mtactl(h, 'map', 'reload', 'people')
    return r.returncode, r.stdout + r.stderr


def result(h, qid, status):
    return h.wait_log('delivery.result', id=qid, status=status)


def refused(h, to):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
        h.send(to)
    return list(e.value.recipients.values())[0]


def test_thousands_of_mailboxes():
    entries = [f'user{n}@demo.test  d{n % 50}/user{n}/' for n in range(MANY)]
    rnd = random.Random(7)
    rnd.shuffle(entries)
    some = rnd.sample(range(MANY), 60)
    with virtual_host(entries) as h:
        for at in range(0, len(some), 20):
            h.send([f'User{n}@demo.test' if n % 2 else f'user{n}+tag@demo.test' for n in some[at:at + 20]])
        for n in some:
            m, = h.wait_mail(f'd{n % 50}/user{n}')
            assert b'hello' in m
            if IS_ROOT:
                st = next((h.dir / f'mail/d{n % 50}/user{n}/new').iterdir()).stat()
                assert st.st_uid == pwd.getpwnam(OWNER).pw_uid and st.st_mode & 0o777 == 0o600
        assert refused(h, f'user{MANY}@demo.test')[0] == 550
        assert len([p for p in (h.dir / 'mail').glob('d*/*')]) == len(some)


@pytest.mark.root
@pytest.mark.parametrize('owner, words', [
    ('no-such-user', 'there is no user no-such-user'),
    ('daemon', 'below mailbox.uid_min'),
    ('root', 'never'),
])
def test_owner_that_may_not_be_one(owner, words):
    with virtual_host([f'ann@demo.test ann/ owner={owner}', 'bea@demo.test bea/']) as h:
        qid = h.send(['ann@demo.test', 'bea@demo.test'])
        assert words in h.wait_log('delivery.result', id=qid, to='ann@demo.test', status='deferred')
        assert words in h.wait_log('delivery.agent.refused')
        h.wait_mail('bea')
        assert not (h.dir / 'mail/ann').exists()
        # Mended, the waiting mail arrives.
        table(h, ['ann@demo.test ann/', 'bea@demo.test bea/'])
        assert reload(h)[0] == 0
        h.wait_mail('ann')


@pytest.mark.root
def test_owner_of_one_mailbox():
    with virtual_host(['ann@demo.test nobody/ann/ owner=nobody', 'bea@demo.test bea/']) as h:
        (h.dir / 'mail/nobody').mkdir(mode=0o700)
        shutil.chown(h.dir / 'mail/nobody', 'nobody', 'nogroup')
        h.send(['ann@demo.test', 'bea@demo.test'])
        h.wait_mail('nobody/ann')
        h.wait_mail('bea')
        uid = lambda box: next((h.dir / 'mail' / box / 'new').iterdir()).stat().st_uid
        assert uid('nobody/ann') == pwd.getpwnam('nobody').pw_uid and uid('bea') == pwd.getpwnam(OWNER).pw_uid


@pytest.mark.parametrize('path', ['../out/', 'a/../../out/', '/OUT/', 'a//b/', './a/', 'a/quota=9', 'a/ quota=much', 'a/ owner=', '..'])
def test_path_that_leaves_the_root(path):
    with tempfile.TemporaryDirectory(prefix='mansio-out-') as out:
        os.chmod(out, 0o777)
        with virtual_host(['# what is wrong stands in line 2', f'ann@demo.test {path.replace("/OUT", out)}', 'bea@demo.test bea/']) as h:
            qid = h.send(['ann@demo.test', 'bea@demo.test'])
            h.wait_mail('bea')
            if path == 'a/quota=9':     # a strange name of a directory and no more
                h.wait_mail('a/quota=9')
                return
            h.wait_log('delivery.result', id=qid, to='ann@demo.test', status='deferred')
            assert f'rule={h.dir}/etc/people:2' in h.wait_log('delivery.mailbox.bad')
            assert not list(pathlib.Path(out).iterdir()) and not (h.dir / 'out').exists()
            assert sorted(p.name for p in (h.dir / 'mail').iterdir()) == ['bea']


@pytest.mark.parametrize('where', ['link/ann/', 'link/', 'ann/'])
def test_symbolic_link_that_leaves_the_root(where):
    with tempfile.TemporaryDirectory(prefix='mansio-out-') as out:
        os.chmod(out, 0o777)
        with virtual_host([f'ann@demo.test {where}', 'bea@demo.test bea/']) as h:
            if where == 'ann/':
                (h.dir / 'mail/ann').mkdir()
                (h.dir / 'mail/ann/new').symlink_to(out)
                for d in ('tmp', 'cur'):
                    (h.dir / 'mail/ann' / d).mkdir()
                if IS_ROOT:
                    for d in ('', 'tmp', 'cur'):
                        shutil.chown(h.dir / 'mail/ann' / d, OWNER, OWNER)
            else:
                (h.dir / 'mail/link').symlink_to(out)
            qid = h.send(['ann@demo.test', 'bea@demo.test'])
            h.wait_mail('bea')
            h.wait_log('delivery.result', id=qid, to='ann@demo.test', status='deferred')
            assert not list(pathlib.Path(out).iterdir())


def test_quota_is_reached_and_freed():
    body = 'Subject: t\r\n\r\n' + 'x' * 1000 + '\r\n'
    with virtual_host(['ann@demo.test ann/ quota=3k', 'bea@demo.test bea/ quota=1G', 'cid@demo.test cid/ quota=1']) as h:
        to = ['ann@demo.test', 'bea@demo.test']
        h.send(to, body)
        h.wait_mail('ann')
        h.send(to, body)
        h.wait_mail('ann', 2)
        qid = h.send(to, body)
        line = h.wait_log('delivery.result', id=qid, to='ann@demo.test', status='deferred')
        assert 'dsn=4.2.2' in line and 'mailbox full' in line
        h.wait_mail('bea', 3)
        assert len(h.mailbox('ann')) == 2 and not list((h.dir / 'mail/ann/tmp').iterdir())
        # The user makes room.
        next((h.dir / 'mail/ann/new').iterdir()).unlink()
        h.wait_log('delivery.result', id=qid, to='ann@demo.test', status='delivered')
        assert len(h.mailbox('ann')) == 2
        # What never fits waits too: a larger quota may be written.
        qid = h.send('cid@demo.test', body)
        assert 'dsn=4.2.2' in result(h, qid, 'deferred')
        table(h, ['cid@demo.test cid/ quota=1M'])
        assert reload(h)[0] == 0
        h.wait_mail('cid')


def test_table_that_changes_while_mail_comes():
    with virtual_host(['ann@demo.test ann/', 'bea@demo.test bea/']) as h:
        assert refused(h, 'cid@demo.test')[0] == 550
        h.send('ann@demo.test')
        h.wait_mail('ann')
        # New people, one moved, one gone.
        table(h, ['ann@demo.test moved/ann/', 'cid@demo.test cid/'])
        assert reload(h)[0] == 0
        h.send(['ann@demo.test', 'cid@demo.test'])
        h.wait_mail('moved/ann')
        h.wait_mail('cid')
        assert len(h.mailbox('ann')) == 1 and refused(h, 'bea@demo.test')[0] == 550
        # A mistake keeps the old table and names the line.
        table(h, ['ann@demo.test ann/', 'dot@demo.test dot/', 'key-without-value'])
        code, words = reload(h)
        assert code != 0 and f'{h.dir}/etc/people:3' in words, words
        assert refused(h, 'dot@demo.test')[0] == 550
        h.send('cid@demo.test')
        h.wait_mail('cid', 2)


REFUSALS = {
    'root': ('error:nouser no mail for root from outside', 550, '5.1.1 no mail for root from outside'),
    'status': ('error:5.1.1:gone to sea', 550, '5.1.1 gone to sea'),
    'both': ('error:5.7.1:553 not for you', 553, '5.7.1 not for you'),
    'sendmail': ('error:nouser 550 5.1.1 User unknown', 550, '5.1.1 User unknown'),
    'quoted': ('error:"550 5.2.1 switched off"', 550, '5.2.1 switched off'),
    'code': ('error:553', 553, '5.1.1 '),
    'later': ('error:tempfail in the evening', 451, '4.3.0 in the evening'),
    'soon': ('error:450 4.2.1 in a minute', 450, '4.2.1 in a minute'),
}


def test_refusals_of_the_virtual_table_are_for_the_outside():
    """cron's mail to plain root arrives, although the world is told that nobody is there."""
    conf = 'map virtual { type = lmdb  source = "@DIR@/etc/virtual" }\nmap aliases { type = aliases  source = "@DIR@/etc/aliases" }\n' \
           'address { virtual = virtual  aliases = aliases }\nrelay { from = [ 127.0.0.2/32 ] }\n' \
           'mailbox postmaster { root = "@DIR@/mail"  path = "postmaster/" }'
    with contextlib.ExitStack() as stack:
        h = Host(demo_mailbox=False, domains=('demo.test', 'shut.test'), conf='map people { type = text  source = "@DIR@/etc/people" }\n'
                 f'mailbox people {{ lookup = people  root = "@DIR@/mail" }}\n{conf}')
        h.dir.chmod(0o755)
        (h.dir / 'etc').mkdir()
        table(h, ['ann@demo.test ann/', 'user@demo.test user/', 'ann@shut.test ann/'])
        (h.dir / 'etc/aliases').write_text('root: ann\n')
        (h.dir / 'etc/virtual').write_text(''.join(f'{who}@demo.test\t{value}\n' for who, (value, _, _) in REFUSALS.items())
                                           + '@shut.test error:5.7.1:550 this domain is shut\n')
        stack.enter_context(h)
        for who, (_, code, words) in REFUSALS.items():
            for to in (f'{who}@demo.test', f'{who.upper()}@Demo.Test', f'{who}+tag@demo.test'):
                got = refused(h, to)
                assert (got[0], got[1].decode()[:len(words)]) == (code, words), (to, got)
        assert b'this domain is shut' in refused(h, 'ann@shut.test')[1]
        h.send('postmaster@shut.test')      # RFC 5321 4.5.1, whatever the table says
        h.wait_mail('postmaster')
        sendmail = [str(BUILD / 'bin/sendmail'), '-C', str(h.dir / 'etc/mansio.conf')]
        run = lambda *a: subprocess.run([*sendmail, *a], input=b'Subject: Cron\n\nx\n', check=True, timeout=60)
        run('-FCronDaemon', '-i', '-B8BITMIME', '-oem', 'root')
        assert b'Delivered-To: ann@demo.test' in h.wait_mail('ann')[0]
        run('root@demo.test', 'ann@shut.test')
        h.wait_mail('ann', 3)
        # Nobody else is there: a notice.
        run('-f', 'user@demo.test', 'status@demo.test')
        assert b'Status: 5.1.1' in h.wait_mail('user')[0]


LOCAL_HOST_NAMES = """# local-host-names - include all aliases for your machine here.
demo.test
old.test\t# the name before

  Parts.Test
"""
VIRTUSERTABLE = """# virtusertable
info@demo.test\t\tann@demo.test
joe+*@parts.test\tann+%2@demo.test
bob@parts.test\terror:nouser 550 No Bob here
@parts.test\t\t%1%3@demo.test
@old.test\t\t@demo.test
"""


def test_tables_of_sendmail_as_they_are():
    h = Host(demo_mailbox=False, conf='map people { type = lmdb  source = "@DIR@/etc/people" }\n'
             'mailbox people { lookup = people  root = "@DIR@/mail" }\n'
             'map virtual { type = lmdb  source = "@DIR@/etc/virtusertable" }\naddress { virtual = virtual }\n'
             'relay { to = "@DIR@/etc/relay-domains" }')
    h.domains = [f'{h.dir}/etc/local-host-names']
    h.dir.chmod(0o755)
    (h.dir / 'etc').mkdir()
    (h.dir / 'etc/local-host-names').write_text(LOCAL_HOST_NAMES)
    (h.dir / 'etc/relay-domains').write_text('backup.test\n')
    (h.dir / 'etc/virtusertable').write_text(VIRTUSERTABLE)
    table(h, ['ann@demo.test ann/', 'bea@demo.test bea/'])
    with h:
        for to, box in (('info@demo.test', 'ann'), ('joe+x@parts.test', 'ann'), ('bea+y@parts.test', 'bea'), ('BEA@old.test', 'bea')):
            before = len(h.mailbox(box))
            h.send(to)
            h.wait_mail(box, before + 1)
        delivered = [m.split(b'Delivered-To: ')[1].split(b'\n')[0] for box in ('ann', 'bea') for m in h.mailbox(box)]
        assert sorted(delivered) == [b'BEA@demo.test', b'ann+x@demo.test', b'ann@demo.test', b'bea+y@demo.test'], delivered
        assert b'No Bob here' in refused(h, 'bob@parts.test')[1]
        assert refused(h, 'cid@old.test')[0] == 550 and refused(h, 'cid+x@parts.test')[0] == 550
        assert refused(h, 'x@else.test')[0] in (550, 554)       # no relay
        h.send('x@backup.test')                                   # a backup MX for these
        # A domain more, without an interruption.
        (h.dir / 'etc/local-host-names').write_text(LOCAL_HOST_NAMES + 'else.test\n')
        (h.dir / 'etc/virtusertable').write_text(VIRTUSERTABLE + '@else.test @demo.test\n')
        r = mtactl(h, 'reload')
        assert r.returncode == 0, r.stdout + r.stderr
        reload(h)
        mtactl(h, 'map', 'reload', 'virtual')
        h.send('ann@else.test')


def test_root_of_the_host_is_reached_without_an_alias():
    conf = 'map virtual { type = inline  entries = [ "root@demo.test error:nouser no mail for root" ] }\naddress { virtual = virtual }\n'
    with Host(conf=conf) as h:
        assert b'no mail for root' in refused(h, 'root@demo.test')[1]
        subprocess.run([str(BUILD / 'bin/sendmail'), '-C', str(h.dir / 'etc/mansio.conf'), 'root'], input=b'Subject: Cron\n\nx\n', check=True)
        assert b'Subject: Cron' in h.wait_mail('root')[0]


def test_table_that_changes_by_itself():
    """auto = yes: nobody says anything."""
    with virtual_host(['ann@demo.test ann/']) as h:
        table(h, ['ann@demo.test ann/', 'bea@demo.test bea/'])
        h.wait_log('mapd.map.loaded', map='people', entries=2, deadline=60)
        h.send('bea@demo.test')
        h.wait_mail('bea')


def test_mailbox_that_goes_while_its_mail_waits():
    with virtual_host(['ann@demo.test ann/ quota=1', 'far@demo.test far/']) as h:
        qid = h.send('ann@demo.test', sender='far@demo.test')
        result(h, qid, 'deferred')
        table(h, ['far@demo.test far/'])
        assert reload(h)[0] == 0
        assert 'dsn=5.1.1' in result(h, qid, 'failed')
        assert b'ann@demo.test' in h.wait_mail('far')[0]    # the notice
