"""What notices say: templates of the operator's, in every kind, put in place by a reload, and never broken by foreign words."""
import email, email.policy, json, subprocess

import pytest

import host
import netns
from host import wait_for
from test_dsn import Sinks, alias_host, check, dsn_host, submit, taken

pytestmark = pytest.mark.root
TOOL = host.BUILD / 'bin/mtactl'

TEXTS = '''# ours
[failure]
Subject: Nicht zustellbar: ${recipient} (${status})
From: Postbüro

Guten Tag,

${count} Empfänger von ${id} nicht erreicht:

    ${recipients}

${remote_host} sagte: ${remote_words}
Grund: ${reason}
Fragen an ${postmaster}. $${id}

English: could not be delivered.
${addresses}

[delay]
Subject: Verspätet

Wartet, höchstens ${days} Tage, bis ${until}.

[success]
Subject: Zugestellt

Zugestellt: ${recipient}

[relayed]
Subject: Weitergereicht

Weitergereicht: ${recipient}

[expanded]
Subject: Verteilt

Verteilt: ${recipient}

[double]
Subject: Für den Postmaster

Unzustellbare Nachricht ${id}
'''


@pytest.fixture(scope='module', autouse=True)
def own_network():
    netns.enter()


def texts_host(text=TEXTS, queue='', make=dsn_host, **kw):
    h = make(**kw)
    (h.dir / 'etc').mkdir(parents=True, exist_ok=True)
    h.texts = h.dir / 'etc/notices.txt'
    h.texts.write_text(text)
    h.queue = f'notices {{ templates = "{h.texts}" }} {queue}'
    return h


def human(raw):
    """(subject, sender's name, text) as a reader sees them."""
    check(raw)
    m = email.message_from_bytes(raw, policy=email.policy.default)
    part = next(m.iter_parts())
    assert not m.defects and not part.defects
    return m['Subject'], m['From'].addresses[0].display_name, part.get_content().replace('\r\n', '\n')


def tool(h, *words):
    return subprocess.run([str(TOOL), '-c', str(h.dir / 'etc/mansio.conf'), *words], capture_output=True, text=True, timeout=60)


def test_a_failure_in_two_languages():
    with Sinks(), texts_host() as h:
        number = submit(h, {'gone@old.test': ''})
        subject, name, text = human(h.wait_mail('user')[0])
        assert subject == 'Nicht zustellbar: gone@old.test (5.1.1)' and name == 'Postbüro'
        assert text == (f'Guten Tag,\n\n1 Empfänger von {number} nicht erreicht:\n\n<gone@old.test>\n    old.test said:\n'
                        '    550 5.1.1 <gone@old.test>: nobody of that name\n\nold.test sagte: 550 5.1.1 <gone@old.test>: nobody of that name\n'
                        f'Fragen an postmaster@{h.hostname}. ${{id}}\n\nEnglish: could not be delivered.\ngone@old.test\n')


def test_delay_success_and_relayed():
    with Sinks(), texts_host(queue='warn_after = 1s expire_after = 3d') as h:
        submit(h, {'later@old.test': 'NOTIFY=DELAY', 'a@old.test': 'NOTIFY=SUCCESS'})
        submit(h, {'postmaster@demo.test': 'NOTIFY=SUCCESS'})
        found = sorted(human(m) for m in h.wait_mail('user', 3))
        assert [f[0] for f in found] == ['Verspätet', 'Weitergereicht', 'Zugestellt']
        assert 'höchstens 3 Tage, bis ' in found[0][2]


def test_expanded_and_the_postmasters():
    with Sinks(), texts_host(make=alias_host, virtual='all@demo.test a@far.test, b@old.test\n') as h:
        submit(h, {'all@demo.test': 'NOTIFY=SUCCESS'})
        assert human(h.wait_mail('user')[0])[::2] == ('Verteilt', 'Verteilt: all@demo.test\n')
        submit(h, {'gone@old.test': ''}, sender='gone@far.test')
        assert human(h.wait_mail('postmaster')[0])[0] == 'Für den Postmaster'


def test_words_of_others_stay_words():
    with Sinks() as sinks, texts_host() as h:
        sinks.old.replies['RCPT']['evil@old.test'] = '550-5.1.1 ${hostname} $(id) `id` %s\r\n550-5.1.1 Bcc: x@y\r\n550 5.1.1 \x1b[31m=?utf-8?Q?x?='
        submit(h, {'evil@old.test': ''})
        raw = h.wait_mail('user')[0]
        subject, _, text = human(raw)
        assert '${hostname} $(id) `id` %s' in text and '\x1b' not in text
        m = email.message_from_bytes(raw)
        assert m['Bcc'] is None and not [line for line in raw.split(b'\n') if line.startswith(b'Bcc')]


def test_a_reload_takes_the_file_and_refuses_a_bad_one():
    with Sinks(), texts_host() as h:
        h.texts.write_text('[failure]\nSubject: Neu\n\n${remote_word}\n\n[bounce]\n')
        p = tool(h, 'reload')
        assert p.returncode and 'notices.txt:4: error: there is no variable "remote_word"; did you mean "remote_words"?' in p.stdout + p.stderr
        p = tool(h, 'check')
        assert p.returncode == 78 and 'notices.txt:6: error: there is no kind of notice "bounce"' in p.stdout + p.stderr
        submit(h, {'gone@old.test': ''})
        assert human(h.wait_mail('user')[0])[0].startswith('Nicht zustellbar'), 'the old one goes on'
        h.texts.write_text('[failure]\nSubject: Neu\n\nText für ${sender}\n')
        assert tool(h, 'reload').returncode == 0
        submit(h, {'gone@old.test': ''})
        found = [human(m) for m in h.wait_mail('user', 2)]
        assert ('Neu', 'Mail Delivery System', 'Text für user@demo.test\n') in found
        h.texts.write_text('[broken\n')
        h.kill('cleanup')  # the next one has the texts of its generation, whatever the file says meanwhile
        wait_for('cleanup again', lambda: taken(h, {'gone@old.test': ''}, mail='ENVID=behind'))
        assert [human(m)[0] for m in h.wait_mail('user', 3)].count('Neu') == 2


def test_a_look_at_one():
    with texts_host() as h:
        p = tool(h, 'notice', 'show', 'failure')
        assert p.returncode == 0 and p.stdout.startswith(f'From: Postbüro <MAILER-DAEMON@{h.hostname}>\nTo: sender@example.com\nSubject: Nicht zustellbar: anna@example.net (5.1.1)\n\nGuten Tag,\n')
        files = json.loads(tool(h, '--json', 'config', '--files').stdout)['rows']
        assert [r['what'] for r in files if r['path'] == str(h.texts)] == ['notices'], files
        other = h.dir / 'etc/other.txt'
        other.write_text('[delay]\n\nbis ${until} oder ${nosuch}\n')
        p = tool(h, 'notice', 'show', 'delay', str(other))
        assert p.returncode == 78 and f'{other}:3: error: there is no variable "nosuch"' in p.stderr
        p = tool(h, '--json', 'notice', 'show', 'success')
        row = json.loads(p.stdout)['rows'][0]
        assert row['about'] == 'success' and row['subject'] == 'Zugestellt' and row['text'] == 'Zugestellt: anna@example.net\r\n'
