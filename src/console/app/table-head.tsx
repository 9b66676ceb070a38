/** A column of a table by its name, and what is special about it. */
export type Column = string | { label: string; is?: 'wide' | 'number' | 'wide number'; isHidden?: boolean };

/** The column of what can be done to a row: its name is for screen readers alone. */
export const ACTIONS: Column = { label: 'Actions', isHidden: true };

/** The head of a table: what it lists, for screen readers, and the names of its columns; `wide` ones are not on phones. */
export function TableHead({ caption, columns }: { caption: string; columns: readonly Column[] }) {
  return (
    <>
      <caption class="hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map((column) => {
            const { label, is, isHidden }: Exclude<Column, string> =
              typeof column === 'string' ? { label: column } : column;
            return (
              <th key={label} scope="col" class={is}>
                {isHidden ? <span class="hidden">{label}</span> : label}
              </th>
            );
          })}
        </tr>
      </thead>
    </>
  );
}
