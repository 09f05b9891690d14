# Completion of portcheck for bash.  portcheck itself says what could come next; nothing that it says is evaluated.

_portcheck() {
    local line=${COMP_LINE:0:COMP_POINT} words=() last=-1 word gap i
    # Bash breaks words at : and =, which targets and options have in them: what stands together is one word again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=${line#"${line%%[![:space:]]*}"}
        if [[ -n $word ]]; then gap=${line%%"$word"*}; else gap=$line; fi
        line=${line#"$gap$word"}
        if ((last < 0)) || [[ -n $gap ]]; then
            words[++last]=$word
        else
            words[last]+=$word
        fi
    done

    local current=${words[last]} kind value text texts=() prefix="" mark before IFS=$'\n'
    for mark in : =; do
        if [[ $COMP_WORDBREAKS == *"$mark"* && $current == *"$mark"* ]]; then
            before=${current%"${current##*"$mark"}"}
            ((${#before} > ${#prefix})) && prefix=$before
        fi
    done

    COMPREPLY=()
    while IFS=$'\t' read -r value text; do
        if [[ -z $kind ]]; then
            kind=$value
        else
            COMPREPLY+=("${value#"$prefix"}")
            texts+=("$text")
        fi
    done < <(_PORTCHECK_COMPLETE=bash _PORTCHECK_WORDS="${words[*]:1}" "${1/#\~\//$HOME/}" 2>/dev/null)

    case $kind in
        files) compopt -o default 2>/dev/null ;;
        directories) compopt -o dirnames 2>/dev/null ;;
        commands) while read -r value; do COMPREPLY+=("$value"); done < <(compgen -c -- "$current") ;;
    esac
    # What each of them is, is shown where they are only listed (63 is `?`): else it would be typed as well.
    if ((COMP_TYPE == 63 && ${#COMPREPLY[@]} > 1)); then
        for i in "${!texts[@]}"; do
            [[ -n ${texts[i]} ]] && COMPREPLY[i]+="  (${texts[i]})"
        done
    fi
}

complete -F _portcheck portcheck whyport
