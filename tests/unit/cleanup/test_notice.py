#!/usr/bin/python3
"""test_notice.py PROGRAM - lets Python's email package read the notices that test_notice composes (RFC 3464)."""
import email, email.policy, pathlib, subprocess, sys, tempfile, os


def report(path):
    raw = path.read_bytes()
    assert b'\n' not in raw.replace(b'\r\n', b''), 'a bare LF'
    assert all(len(line) <= 998 for line in raw.split(b'\r\n')), 'a line over 998 bytes'
    msg = email.message_from_bytes(raw, policy=email.policy.default)
    assert not msg.defects, msg.defects
    assert msg.get_content_type() == 'multipart/report', msg.get_content_type()
    assert msg.get_param('report-type') == 'delivery-status'
    assert msg['Date'] and msg['Message-ID'] and msg['From'] and msg['To']
    assert msg['Auto-Submitted'].startswith('auto-'), msg['Auto-Submitted']
    text, status, original = msg.get_payload()
    assert text.get_content_type() == 'text/plain'
    assert status.get_content_type() == 'message/delivery-status'
    assert original.get_content_type() in ('text/rfc822-headers', 'message/rfc822-headers'), original.get_content_type()
    assert b'Subject: the original' in original.as_bytes()
    blocks = status.get_payload()
    return text.get_content(), blocks[0], blocks[1:]


def main(program):
    with tempfile.TemporaryDirectory() as where:
        subprocess.run([program], env=dict(os.environ, MANSIO_NOTICE_DIR=where), check=True)
        text, head, rcpts = report(pathlib.Path(where, 'failure.eml'))
        assert head['Reporting-MTA'] == 'dns; mx.own.test'
        assert [r['Action'] for r in rcpts] == ['failed'] * 3
        # What aliases lead to stays ours: the address that the sender gave is all that he gets to read.
        assert [r['Final-Recipient'] for r in rcpts] == ['rfc822; x@far.test', 'rfc822; team@own.test', 'rfc822; list@own.test']
        assert [r['Status'] for r in rcpts] == ['5.1.1', '4.4.2', '5.0.0']
        assert rcpts[0]['Remote-MTA'] == 'dns; mx.far.test'
        assert 'no such user' in rcpts[0]['Diagnostic-Code'] and rcpts[0]['Diagnostic-Code'].startswith('smtp;')
        assert rcpts[1]['Original-Recipient'] is None and rcpts[1]['Final-Recipient'] == 'rfc822; team@own.test'
        assert rcpts[2]['Original-Recipient'].replace(' ', '') == 'rfc822;list@own.test'
        assert 'x@far.test' in text and 'connection lost after RCPT TO' in text
        text, head, rcpts = report(pathlib.Path(where, 'delay.eml'))
        assert rcpts[0]['Action'] == 'delayed' and rcpts[0]['Will-Retry-Until']
        report(pathlib.Path(where, 'long.eml'))


main(sys.argv[1])
