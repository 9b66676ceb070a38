import {
  Body,
  Controller,
  CurrentPrincipal,
  Documented,
  epochMs,
  EventBus,
  Get,
  InjectRepository,
  Post,
  timeOrderedId,
  UnitOfWork,
  userId as ownerId,
  uuid,
  z,
  type Principal,
  type Repository,
} from 'herald/extension-api';
import { Item } from './item.entity.js';

const name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .meta({ examples: ['my first item'] });
const itemBody = z.strictObject({ name });
const itemView = z.strictObject({ id: uuid, ownerId, name, createdAt: epochMs }).meta({ id: 'MyExtensionItem' });

/** The caller's own items. Routes are closed to callers without a token, unless they are `@Public()`. */
@Controller('my-extension')
export class ItemsController {
  constructor(
    @InjectRepository(Item) private readonly items: Repository<Item>,
    private readonly unitOfWork: UnitOfWork,
    private readonly bus: EventBus,
  ) {}

  @Get()
  @Documented({ summary: 'List your items', answer: z.strictObject({ items: z.array(itemView) }) })
  async list(@CurrentPrincipal() { userId }: Principal): Promise<{ items: Item[] }> {
    return { items: await this.items.find({ where: { ownerId: userId }, order: { id: 'ASC' } }) };
  }

  @Post()
  @Documented({ summary: 'Add an item', answer: itemView })
  async add(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: itemBody }) body: z.infer<typeof itemBody>,
  ): Promise<Item> {
    const item = { id: timeOrderedId(), ownerId: userId, name: body.name, createdAt: Date.now() };
    // The change and its event are one transaction: neither is ever without the other.
    await this.unitOfWork.run(async (tx) => {
      await tx.insert(Item, item);
      await this.bus.publish('my_extension.added', { itemId: item.id, userId });
    });
    return item;
  }
}
