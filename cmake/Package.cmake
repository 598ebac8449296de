# The Debian package: `cpack -G DEB` in a build directory of the release preset.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mansio)
set(CPACK_PACKAGE_VENDOR "Mansio")
set(CPACK_PACKAGE_CONTACT "Mansio <postmaster@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "mail transfer agent for a hardened production mail host")
set(CPACK_PACKAGE_DESCRIPTION "Receives mail by SMTP, keeps it in a durable queue, delivers it into local mailboxes and
relays it to the world. Small daemons, each with a user, an empty jail and system call
filters of its own. Takes the place of sendmail, Postfix, OpenSMTPD or Exim.")
# With DESTDIR, so that install code sees the same prefix as everywhere else.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_RELOCATABLE OFF)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# useradd and groupadd of create-users.sh; hostname asks for the first name
set(CPACK_DEBIAN_PACKAGE_DEPENDS "passwd, hostname")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
foreach(field IN ITEMS PROVIDES CONFLICTS REPLACES)
    set(CPACK_DEBIAN_PACKAGE_${field} mail-transport-agent)
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/etc/debian/postinst ${CMAKE_SOURCE_DIR}/etc/debian/prerm
    ${CMAKE_SOURCE_DIR}/etc/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# postinst writes the configuration once, from the sample; a package's own file would ask at every upgrade.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/PackageContents.cmake)
include(CPack)
