"""badsmtp.py - a scripted bad SMTP server: dies, lies, floods or falls silent at a chosen step.

    with Bad('127.0.0.13', 25, die='rcpt') as b: ...

script: {step: bytes or callable or None}: what is sent instead of the good reply at that step; None means silence.
die:    the step after whose command the connection is cut (greeting: before anything is said).
Steps: greeting ehlo mail rcpt data body quit.
"""
import socket, struct, threading
import socketserver

GOOD = {'greeting': b'220 bad.test ESMTP\r\n', 'ehlo': b'250-bad.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n', 'mail': b'250 2.1.0 ok\r\n',
        'rcpt': b'250 2.1.5 ok\r\n', 'data': b'354 go\r\n', 'body': b'250 2.0.0 taken\r\n', 'quit': b'221 2.0.0 bye\r\n'}
STEPS = {b'EHLO': 'ehlo', b'HELO': 'ehlo', b'MAIL': 'mail', b'RCPT': 'rcpt', b'DATA': 'data', b'QUIT': 'quit'}


class Bad:
    def __init__(self, host, port, script=None, die=None, reset=False, times=None):
        self.host, self.port, self.die, self.reset = host, port, die, reset
        self.script = dict(GOOD, **(script or {}))
        self.times = times              # be bad only for so many sessions, then good; None: always
        self.sessions = 0
        self.messages = []
        self.lock = threading.Lock()

    def start(self):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            # A reset must not take replies along that were said before it and wait for an acknowledgement.
            disable_nagle_algorithm = True

            def cut(self):
                if outer.reset:
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                self.request.close()

            def say(self, step):
                """False when the connection is over."""
                if self.bad and outer.die == step:
                    self.cut()
                    return False
                words = outer.script[step] if self.bad else GOOD[step]
                if callable(words):
                    words = words()
                if words is None:
                    self.request.settimeout(120)
                    try:
                        while self.request.recv(4096):
                            pass
                    except OSError:
                        pass
                    return False
                self.wfile.write(words)
                return True

            def handle(self):
                with outer.lock:
                    outer.sessions += 1
                    self.bad = outer.times is None or outer.sessions <= outer.times
                try:
                    self.talk()
                except (OSError, ValueError):
                    pass

            def talk(self):
                if not self.say('greeting'):
                    return
                while True:
                    line = self.rfile.readline()
                    if not line:
                        return
                    step = STEPS.get(line[:4].upper())
                    if step is None:
                        self.wfile.write(b'250 2.0.0 ok\r\n')
                        continue
                    if not self.say(step):
                        return
                    if step == 'quit':
                        return
                    if step == 'data' and (outer.script['data'] if self.bad else GOOD['data'])[:1] == b'3':
                        data = []
                        while True:
                            line = self.rfile.readline()
                            if not line:
                                return
                            if line == b'.\r\n':
                                break
                            data.append(line)
                        with outer.lock:
                            outer.messages.append(b''.join(data))
                        if not self.say('body'):
                            return

        class Srv(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.srv = Srv((self.host, self.port), Handler)
        threading.Thread(target=self.srv.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.srv.shutdown()
        self.srv.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
