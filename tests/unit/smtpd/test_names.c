/* test_names.c - when a session asks dnsd for its client's name, and when it is known */
#include "../../support/unit.h"

#include "rig.h"

#include <unistd.h>

static void session(struct rig *r, const char *name)
{
    int fd = rig_connect(r, NULL);

    r->open[0] = '\0';
    rig_expect(r, fd, "220 mx.own.test ESMTP\r\n");
    rig_send(r, fd, "HELO client\r\n");
    rig_expect(r, fd, "250 mx.own.test\r\n");
    rig_send(r, fd, "MAIL FROM:<a@far.test>\r\nRCPT TO:<user@own.test>\r\n");
    rig_expect(r, fd, "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n");
    assert_non_null(strstr(r->open, name));
    close(fd);
    rig_spin(r, 5);
}

static void client_that_comes_again_is_not_asked_for_again(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r, "");
    for (int i = 0; i < 3; i++) {
        session(&r, "client-name=client.name.test");
        assert_int_equal(r.names_asked, 1);
    }
    rig_pass(&r, 6000); /* what was told then may not be true any more */
    snprintf(r.name, sizeof r.name, "other.name.test");
    session(&r, "client-name=other.name.test");
    assert_int_equal(r.names_asked, 2);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_that_comes_again_is_not_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
