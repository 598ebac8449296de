"""Lists of members (:include:) through the whole suite: who may reach them, and what a missing one costs."""
import smtplib

import pytest

from host import Host

CONF = '''
map al { type = aliases source = "@DIR@/etc/aliases" }
address { aliases = al extension = "+" }
'''


def list_host(aliases, lists):
    h = Host(conf=CONF, users=('user', 'second', 'postmaster'))
    h.write()
    for name, text in dict(lists, aliases=aliases).items():
        f = h.dir / 'etc' / name
        f.write_text(text.replace('@DIR@', str(h.dir)))
        f.chmod(0o644)
    return h


def test_nobody_reaches_a_list_by_its_path():
    with list_host('staff: :include:@DIR@/etc/staff\n', {'staff': 'user\nsecond\n'}).start() as h:
        h.send('staff@demo.test')
        h.wait_mail('user')
        h.wait_mail('second')
        for disguise in (':include:', ':INCLUDE:', ':include: '):
            for path in ('{}/etc/staff', '{}/etc/staff+x', '{}/etc/staff//1'):
                with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
                    h.send(f'<"{disguise}{path.format(h.dir)}"@demo.test>')
                code, text = list(e.value.recipients.values())[0]
                assert code == 550 and b'5.1.1' in text, (disguise, path, code, text)
        assert len(h.mailbox('user')) == 1 and len(h.mailbox('second')) == 1


@pytest.mark.parametrize('aliases', ['postmaster: user, :include:@DIR@/etc/gone\nstaff: :include:@DIR@/etc/gone\n',
                                     'postmaster: user\nno colon here\n'], ids=['list', 'table'])
def test_postmaster_is_reached_when_tables_cannot_be_read(aliases):
    with list_host(aliases, {}).start() as h:
        h.send('PostMaster@demo.test')
        h.wait_mail('postmaster')
        h.wait_log('cleanup.postmaster.kept')
        with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
            h.send('staff@demo.test')
        assert list(e.value.recipients.values())[0][0] == 451
        line = h.wait_log('smtp.rcpt.refused')
        assert 'rule=cleanup' not in line and ('etc/gone' in line or 'etc/aliases:2' in line), line
