# Completion of portcheck for fish.  portcheck itself says what could come next; nothing that it says is evaluated.

function __portcheck_complete
    set -l before (commandline --tokenize --current-process --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l asked
    for word in $before[2..]
        set asked "$asked$word"\n
    end
    set -l lines (env _PORTCHECK_COMPLETE=fish "_PORTCHECK_WORDS=$asked$current" $before[1] 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current"
        case commands
            __fish_complete_command
        case words
            printf '%s\n' $lines[2..]
    end
end

complete --command portcheck --command whyport --no-files --keep-order --arguments '(__portcheck_complete)'
