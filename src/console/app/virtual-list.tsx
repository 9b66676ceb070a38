import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

interface VirtualListProps<T> {
  items: readonly T[];
  /** In px, the same for each row. */
  rowHeight: number;
  keyOf: (item: T) => string;
  label: string;
  /** Called when the end comes into sight. */
  onEnd: () => void;
  children: (item: T) => ComponentChildren;
}

/** Rows above and below what is in sight, so that scrolling shows no hole. */
const SPARE = 8;

/**
 * A list of which only the rows in sight exist.
 *
 * Whoever has scrolled away from the top keeps seeing the same rows while new ones come in above.
 */
export function VirtualList<T>({ items, rowHeight, keyOf, label, onEnd, children }: VirtualListProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const first = useRef<string | undefined>(undefined);
  const look = (): void => {
    const { current } = box;
    if (current) setView({ top: current.scrollTop, height: current.clientHeight });
  };
  useEffect(() => {
    const observer = new ResizeObserver(look);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const { current } = box;
    const head = items[0];
    const before = first.current;
    first.current = head && keyOf(head);
    if (!current || before === undefined || current.scrollTop < rowHeight) return;
    const added = items.findIndex((item) => keyOf(item) === before);
    if (added > 0) current.scrollTop += added * rowHeight;
  }, [items]);
  const from = Math.max(0, Math.floor(view.top / rowHeight) - SPARE);
  const to = Math.min(items.length, Math.ceil((view.top + view.height) / rowHeight) + SPARE);
  useEffect(() => {
    if (to >= items.length - SPARE) onEnd();
  }, [to, items.length]);
  return (
    <div ref={box} class="virtual" onScroll={look} tabIndex={0} role="region" aria-label={label}>
      <ol class="virtual-rows" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(from, to).map((item, at) => (
          <li
            key={keyOf(item)}
            class="virtual-row"
            style={{ height: `${rowHeight}px`, transform: `translateY(${(from + at) * rowHeight}px)` }}
            aria-setsize={items.length}
            aria-posinset={from + at + 1}
          >
            {children(item)}
          </li>
        ))}
      </ol>
    </div>
  );
}
