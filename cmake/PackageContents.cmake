# Last hand at the tree that becomes the package: no configuration (postinst writes it), manual pages compressed
set(tree ${CPACK_TEMPORARY_DIRECTORY})
file(REMOVE_RECURSE ${tree}/etc)
file(GLOB_RECURSE pages ${tree}/usr/share/man/*)
foreach(page IN LISTS pages)
    if(NOT page MATCHES "\\.gz$")
        execute_process(COMMAND gzip -9n ${page} COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
