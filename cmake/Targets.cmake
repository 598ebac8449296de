# mansio_lib(NAME SOURCES a.c ... LIBS x ...)      a layered static library
# mansio_daemon(NAME SOURCES ... LIBS ...)         a program installed in libexec/mansio
# mansio_program(NAME SOURCES ... LIBS ... DEST d) any other program
# mansio_unit(NAME SOURCES ... LIBS ...)           a cmocka test, label "unit"
# mansio_fuzz(NAME SOURCES ... LIBS ...)           a fuzz target: libFuzzer in the fuzz build; elsewhere the
#                                                  same code replays its corpus as a ctest, label "unit"
set(MANSIO_LIBEXECDIR ${CMAKE_INSTALL_LIBEXECDIR}/mansio)

function(mansio_lib NAME)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    add_library(${NAME} STATIC ${A_SOURCES})
    target_link_libraries(${NAME} PUBLIC ${A_LIBS})
endfunction()

function(mansio_daemon NAME)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${NAME} ${A_SOURCES})
    target_link_libraries(${NAME} PRIVATE ${A_LIBS})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    target_link_options(${NAME} PRIVATE -pie)
    install(TARGETS ${NAME} RUNTIME DESTINATION ${MANSIO_LIBEXECDIR})
endfunction()

function(mansio_program NAME)
    cmake_parse_arguments(A "" "DEST" "SOURCES;LIBS" ${ARGN})
    add_executable(${NAME} ${A_SOURCES})
    target_link_libraries(${NAME} PRIVATE ${A_LIBS})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    target_link_options(${NAME} PRIVATE -pie)
    if(A_DEST)
        install(TARGETS ${NAME} RUNTIME DESTINATION ${A_DEST})
    endif()
endfunction()

function(mansio_unit NAME)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    if(MANSIO_FUZZ)
        return()
    endif()
    add_executable(${NAME} ${A_SOURCES})
    target_link_libraries(${NAME} PRIVATE ${A_LIBS} PkgConfig::CMOCKA)
    target_compile_definitions(${NAME} PRIVATE TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data"
        SHARED_DATA="${CMAKE_SOURCE_DIR}/../shared/data")
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME unit.${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(unit.${NAME} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()

function(mansio_fuzz NAME)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${NAME})
    if(MANSIO_FUZZ)
        add_executable(${NAME} ${A_SOURCES})
        target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz.${NAME} COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run_one.sh $<TARGET_FILE:${NAME}> ${NAME}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(fuzz.${NAME} PROPERTIES LABELS fuzz TIMEOUT 7200)
    else()
        add_executable(${NAME} ${A_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME replay.${NAME} COMMAND ${NAME} ${corpus} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(replay.${NAME} PROPERTIES LABELS unit TIMEOUT 300)
    endif()
    target_link_libraries(${NAME} PRIVATE ${A_LIBS})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    set_property(GLOBAL APPEND PROPERTY MANSIO_FUZZ_TARGETS ${NAME})
endfunction()
